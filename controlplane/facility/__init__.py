"""One facility's file as people keep it: written by asking, edited without disturbing its comments, shown."""
