# Policy enforcement points and session variables.
acPostProcForPut {
    on ($objPth like "/zone/*") {  # finds R203
        writeLine("serverLog", $userNameClient);
    }
}
acPostProcForPutt {  # finds R201
    nop;
}
acPreConnect {  # finds R202
    nop;
}
pep_api_data_obj_put_pre(*INSTANCE, *COMM, *INPUT) {  # finds R202
    nop;
}
pep_api_data_obj_unlink_before(*INSTANCE, *COMM, *INPUT) {  # finds R206
    nop;
}
pep_api_data_obj_unlnk_pre(*INSTANCE, *COMM, *INPUT) {  # finds R201
    nop;
}
pep_resource_unlink_post(*INSTANCE, *CONTEXT, *OUT) {
    nop;
}
pep_database_reg_data_obj_post(*INSTANCE, *CONTEXT) {  # finds R202
    nop;
}
