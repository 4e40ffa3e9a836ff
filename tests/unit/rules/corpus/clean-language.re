# Every construct of the language, and nothing wrong.
@include "another"
@backwardCompatible auto

data bicShape = | bicCircle : double -> bicShape | bicSquare : double * double -> bicShape;
constructor bicPoint : bicShape
bicElsewhere : int * f string -> ?

bicArea(bicCircle(*R)) = 3 * *R ^ 2
bicArea(bicSquare(*A, *B)) = *A * *B
bicNumber(*X : int) : int = *X % 7 + floor(2.5) - -1 @("unit", "none");
bicGuarded(*X) = bicNumber(*X) ::: nop
bicLet(*X) = let *Y = bicNumber(*X) in *Y ++ *Y
bicChoice(*X) = if *X > 0 then "more" else if *X == 0 then "none" else "less"

bicStatements(*PATH, *OUT) {
    *OUT = "";
    *TEXT = 'single \'quoted\'' ++ "double *PATH \*plain \$sign\n" ++ ``raw *text``;
    (*FIRST, *SECOND) = (1, 2.5);
    *KEYS.name = "value";
    *KEYS.'other key' = *TEXT;
    *HOME = /zone/home/*PATH/data;
    if (*TEXT like "*.tif" && !(*FIRST <= 1) || *SECOND != 2) then { *OUT = *KEYS.name; }
    else if (*TEXT not like "a" %% *TEXT like regex "b.*") { *OUT = str(*HOME) }
    else { nop }
    while (true) { break; }
    for (*I = 0; *I < 3; *I = *I + 1) { writeLine("serverLog", "*I"); }
    foreach (*ITEM in list("a", "b")) { *OUT = *OUT ++ *ITEM; }
    *LIST = split(*TEXT, ",");
    foreach (*LIST) { writeLine("serverLog", *LIST); }
    foreach (*ROW in SELECT COLL_NAME, count(DATA_ID), order_desc(DATA_SIZE)
             WHERE COLL_NAME like '*PATH/%' AND DATA_SIZE > '10' && < '20' AND DATA_NAME NOT LIKE '%.tmp'
             and DATA_REPL_NUM between '0' '3' and DATA_OWNER_NAME in ("a", "b")) {
        *OUT = *OUT ++ *ROW.COLL_NAME;
    }
    match bicCircle(1.0) with
        | bicCircle(*R) => writeLine("serverLog", "*R")
        | bicSquare(*_, *B) => { writeLine("serverLog", "*B"); };
    delay("<INST_NAME>irods_rule_engine_plugin-irods_rule_language-instance</INST_NAME><PLUSET>1s</PLUSET>") {
        writeLine("serverLog", *PATH);
    }
    remote("other.example", "") { writeLine("serverLog", *PATH); }
    bicStep(*PATH) ::: msiRollback;
    *CODE = errormsg(bicStep(*PATH), *MESSAGE)
    writeLine("serverLog", "*CODE *MESSAGE");
    { cut; if (*CODE < 0) { failmsg(*CODE, *MESSAGE); } }
    succeed;
}

bicStep(*PATH) {
    on (*PATH == "") { fail; } @("id", "1") @("logging", "false", "unit")
    oron (*PATH like "/zone/*") { msiCommit; }
    or { succeed; }
}

acTrashPolicy { ON($userNameClient == "rods") { msiNoTrashCan; } OR { nop; } }
pep_api_data_obj_put_post(*INSTANCE, *COMM, *INPUT, *BUFFER, *PORTAL) {
    writeLine("serverLog", *INPUT.obj_path ++ $userNameClient);
}
