bicBrace(*A) {
    if (*A == 1) {
        writeLine("serverLog", "one");
    else {  # finds R001
        writeLine("serverLog", "other");
    }
}
