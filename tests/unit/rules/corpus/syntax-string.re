bicString(*A) {
    writeLine("serverLog", *A);
    writeLine("serverLog", "open);  # finds R001
}
