# Rules of one name, of which the first hides the others.
acPostProcForPut {
    writeLine("serverLog", "first");
}
acPostProcForPut {
    on ($objPath like "/zone/*") {  # finds R401
        writeLine("serverLog", "second");
    }
}
bicOnce(*A) { writeLine("serverLog", *A); }
bicOnce(*A, *B) { writeLine("serverLog", *A ++ *B); }
bicTwice(0) = 1
bicTwice(*A) = *A
bicSeveral(*A) {
    on (*A == 1) { writeLine("serverLog", "one"); }
    or { writeLine("serverLog", "other"); }
    or { writeLine("serverLog", "never"); }  # finds R401
}
