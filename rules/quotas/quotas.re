# Whether quotas are enforced. An agent, which serves one connection, asks once; core's own rule says "off".
acRescQuotaPolicy {
    *ENFORCED = "true";
    if (errorcode(bicParameter("quotas", "enforced", "true", *ENFORCED)) != 0) {
        writeLine("serverLog", "quotas: the parameter 'enforced' cannot be read; quotas are enforced");
        *ENFORCED = "true";
    }
    if (*ENFORCED == "false") {
        msiSetRescQuotaPolicy("off");
    } else {
        msiSetRescQuotaPolicy("on");
    }
}
