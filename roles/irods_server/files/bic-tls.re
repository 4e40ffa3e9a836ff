# What this server demands of incoming connections: TLS, always. This rule base stands before core, whose own
# acPreConnect would refuse TLS.
acPreConnect(*OUT) { *OUT = "CS_NEG_REQUIRE"; }
