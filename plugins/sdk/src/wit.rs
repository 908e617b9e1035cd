//! What wit-bindgen makes of the WIT package, a module per world. Use it through the modules of the worlds; it is public
//! for the macros that export a policy, and for what the SDK does not wrap.
#![allow(missing_docs, unsafe_code, clippy::all)]

pub mod retention {
    wit_bindgen::generate!({
        path: "wit",
        world: "retention",
        pub_export_macro: true,
        export_macro_name: "export_retention",
        default_bindings_module: "backstop_policy_sdk::wit::retention",
        additional_derives: [PartialEq],
    });
}

pub mod validation {
    wit_bindgen::generate!({
        path: "wit",
        world: "validation",
        pub_export_macro: true,
        export_macro_name: "export_validation",
        default_bindings_module: "backstop_policy_sdk::wit::validation",
        additional_derives: [PartialEq],
        with: {
            "backstop:policy/types@1.0.0": crate::wit::retention::backstop::policy::types,
            "backstop:policy/log@1.0.0": crate::wit::retention::backstop::policy::log,
        },
    });
}

pub mod alert_sink {
    wit_bindgen::generate!({
        path: "wit",
        world: "alert-sink",
        pub_export_macro: true,
        export_macro_name: "export_alert_sink",
        default_bindings_module: "backstop_policy_sdk::wit::alert_sink",
        additional_derives: [PartialEq],
        with: {
            "backstop:policy/types@1.0.0": crate::wit::retention::backstop::policy::types,
            "backstop:policy/log@1.0.0": crate::wit::retention::backstop::policy::log,
        },
    });
}

pub mod health_check {
    wit_bindgen::generate!({
        path: "wit",
        world: "health-check",
        pub_export_macro: true,
        export_macro_name: "export_health_check",
        default_bindings_module: "backstop_policy_sdk::wit::health_check",
        additional_derives: [PartialEq],
        with: {
            "backstop:policy/types@1.0.0": crate::wit::retention::backstop::policy::types,
            "backstop:policy/log@1.0.0": crate::wit::retention::backstop::policy::log,
        },
    });
}
