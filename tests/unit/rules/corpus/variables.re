# Variables, parameters, and statements that are never reached.
bicRead(*PATH) {
    writeLine("serverLog", "*PATH *PAHT");  # finds R301
    *UNUSED = 1;  # finds R302
    *_ON_PURPOSE = 1;
    *KEYS.one = "two";
    msiSplitPath(*PATH, *COLLECTION, *NAME);
    *TOTAL = *TOTAL + 1;  # finds R301
    foreach (*ROW in select DATA_NAME where COLL_NAME = '*COLLECTION') {
        *NAME = *ROW.DATA_NAME;
    }
    writeLine("serverLog", *NAME ++ *LATER);  # finds R301
    if (*PATH like "*bic*") {  # finds R301
        succeed;
        writeLine("serverLog", "here");  # finds R304
        writeLine("serverLog", "and here");
    }
    match *NAME with
        | "a" => writeLine("serverLog", "a")
        | *OTHER => writeLine("serverLog", *OTHER);
    let *SIZE = strlen(*NAME) in writeLine("serverLog", "*SIZE");
}
bicOut(*PATH, *OUT, *NEVER) {  # finds R303
    *OUT = *PATH;
}
bicThrough(*PATH, *OUT) {
    bicOut(*PATH, *OUT, 1);
}
bicUser(*PATH) {
    bicThrough(*PATH, *FOUND);
    writeLine("serverLog", *FOUND);
    bicIn(*PATH, *GIVEN);  # finds R301
}
bicIn(*PATH, *VALUE) {
    writeLine("serverLog", *PATH ++ *VALUE);
    while (true) {
        break;
        nop;  # finds R304
    }
    fail(-1);
    nop;  # finds R304
}
