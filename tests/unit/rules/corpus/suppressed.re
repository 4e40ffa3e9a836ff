# Comments that hide findings.
bicHidden(*PATH) {
    *ONE = 1;  # lint: ignore R302: to show how
    # lint: ignore R101, R302: both in the next line
    *TWO = bicNowhere(*PATH);
    # lint: ignore R302
    *THREE = 3;  # finds R302
    # lint: ignore R999: there is none
    *FOUR = 4;  # finds R302
    # lint: ignore R101: there is none in the next line
    writeLine("serverLog", *PATH);
}
