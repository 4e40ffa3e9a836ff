# A collection becomes a published dataset by the AVU bic:published = true. Before that it needs the attributes that the
# parameter "required" lists, after REMBI, the recommended metadata for biological images: study, biosample, specimen,
# image acquisition. While it is published they stay.

# Fails where a collection has not all of them with a value.
bicMetadataComplete(*PATH) {
    bicMetadataRequired(*REQUIRED);
    *MISSING = "";
    foreach (*KEY in split(*REQUIRED, ",")) {
        *HAS = "no";
        foreach (*ROW in select META_COLL_ATTR_VALUE where COLL_NAME = '*PATH' and META_COLL_ATTR_NAME = '*KEY') {
            *HAS = "yes";
        }
        if (*HAS == "no") {
            *MISSING = "*MISSING *KEY";
        }
    }
    if (*MISSING != "") {
        writeLine("serverLog", "metadata: *PATH cannot be published without*MISSING");
        fail(-816000);
    }
}

bicMetadataRequired(*REQUIRED) {
    bicParameter("metadata", "required", "rembi.study.title,rembi.study.description,rembi.study.license,rembi.biosample.organism,rembi.biosample.biological_entity,rembi.specimen.preparation,rembi.image_acquisition.imaging_method,rembi.image_acquisition.instrument", *REQUIRED);
}

# Fails where a collection is published.
bicMetadataDraft(*PATH) {
    foreach (*ROW in select META_COLL_ATTR_VALUE where COLL_NAME = '*PATH' and META_COLL_ATTR_NAME = 'bic:published') {
        if (*ROW.META_COLL_ATTR_VALUE == "true") {
            writeLine("serverLog", "metadata: *PATH is published, its mandatory metadata stay");
            fail(-816000);
        }
    }
}

# Whether an attribute is one of the mandatory ones.
bicMetadataMandatory(*ATTRIBUTE, *FOUND) {
    *FOUND = "no";
    bicMetadataRequired(*REQUIRED);
    foreach (*KEY in split(*REQUIRED, ",")) {
        if (*KEY == *ATTRIBUTE) {
            *FOUND = "yes";
        }
    }
}

# One change of a collection's metadata. Publishing is adding or setting the AVU; no other way is open, such as copying
# it from another collection or renaming another attribute.
bicMetadataAvu(*INPUT) {
    if (*INPUT.arg1 == "-C" || *INPUT.arg1 == "-c") {
        bicKey(*INPUT, "arg3", *ATTRIBUTE);
        bicKey(*INPUT, "arg4", *VALUE);
        *OPERATION = *INPUT.arg0;
        *PATH = *INPUT.arg2;
        if (*OPERATION == "add" || *OPERATION == "adda" || *OPERATION == "set") {
            if (*ATTRIBUTE == "bic:published" && *VALUE == "true") {
                bicMetadataComplete(*PATH);
            }
        } else if (*OPERATION == "rm") {
            bicMetadataMandatory(*ATTRIBUTE, *FOUND);
            if (*FOUND == "yes") {
                bicMetadataDraft(*PATH);
            }
        } else if (*OPERATION == "cp") {
            bicMetadataDraft(*ATTRIBUTE);
            bicMetadataDraft(*PATH);
        } else if (*OPERATION == "mod") {
            bicMetadataDraft(*PATH);
            foreach (*PART in list("arg5", "arg6", "arg7", "arg8")) {
                bicKey(*INPUT, *PART, *NEW);
                if (*NEW == "n:bic:published" || (*ATTRIBUTE == "bic:published" && *NEW == "v:true")) {
                    bicMetadataComplete(*PATH);
                }
            }
        } else {
            bicMetadataDraft(*PATH);
        }
    }
}

# Several changes at once, as JSON. Where the text names bic:published or a mandatory attribute, or spells letters as
# codes, the collection has to be complete before, and stays as it is while it is published.
bicMetadataText(*JSON) {
    *TOUCHES = "no";
    if (*JSON.buf like "*" ++ "bic:published" ++ "*" || *JSON.buf like regex ".*[\\\\]u00[2-7].*") {
        *TOUCHES = "publishes";
    } else {
        bicMetadataRequired(*REQUIRED);
        foreach (*KEY in split(*REQUIRED, ",")) {
            if (*JSON.buf like "*\"*KEY\"*") {
                *TOUCHES = "mandatory";
            }
        }
    }
    if (*TOUCHES != "no") {
        *TEXT = trimr(*JSON.buf, "\\x00");
        msiStrlen(*TEXT, *SIZE);
        msi_json_parse(*TEXT, int(*SIZE), *HANDLE);
        msi_json_value(*HANDLE, "/entity_type", *TYPE);
        msi_json_value(*HANDLE, "/entity_name", *PATH);
        msi_json_free(*HANDLE);
        if (*TYPE == "collection") {
            if (*TOUCHES == "publishes") {
                bicMetadataComplete(*PATH);
            }
            if (*TEXT like "*\"remove\"*") {
                bicMetadataDraft(*PATH);
            }
        }
    }
}

pep_api_mod_avu_metadata_pre(*INSTANCE, *COMM, *INPUT) {
    on (errorcode(bicMetadataAvu(*INPUT)) != 0) { -816000; }
}
pep_api_atomic_apply_metadata_operations_pre(*INSTANCE, *COMM, *JSON, *OUT) {
    on (errorcode(bicMetadataText(*JSON)) != 0) { -816000; }
}
