# What is called and is not there.
bicNames(*PATH) {
    *ERROR = SYS_NOT_SUPORTED;  # finds R101 R302
    msiDataObjUnlnk(*PATH, *STATUS);  # finds R101
    writeLine("serverLog");  # finds R102
    msiSplitPath(*PATH, *COLLECTION);  # finds R102
    bicHelp(*PATH);  # finds R102
    bicHelpe(*PATH, 1);  # finds R101
    bicHelp(*PATH, 1);
    *LENGTH = strlen();  # finds R102
    writeLine("serverLog", "*COLLECTION *STATUS *LENGTH");
    if (errorcode(msiNothing) != 0) {  # finds R101
        fail(-1, 2);  # finds R102
    }
    *TEXT = *PATH.data_name ++ foo;  # finds R101
    acCreateUser(*TEXT);  # finds R102
}
bicHelp(*PATH, *COUNT) {
    delay("<PLUSET>1s</PLUSET>") {
        msiSleep(*COUNT);  # finds R102
    }
    remote("somewhere", "") {
        writeLn("serverLog", *PATH);  # finds R101
    }
}
