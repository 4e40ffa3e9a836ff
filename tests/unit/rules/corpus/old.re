# The syntax with bars, which the engine still reads.
acPostProcForDelete|$objPath like /zone/home/*|msiGoodFailure##msiNothing(*x, plain text)|nop##nop  # finds R002 R101
bicOld(*A)||msiSleep(1, 0)|nop|12  # finds R002
