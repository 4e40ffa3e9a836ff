"""The portal: the web pages of the platform, behind its single sign-on."""
