//! Any text as a job file: a job, or an error that names the file.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use logtally::error::Class;

fuzz_target!(|text: &str| {
    if let Err(error) = logtally::job::parse(Path::new("fuzz.toml"), text) {
        assert_ne!(error.class(), Class::Unexpected, "{error}");
        assert!(error.to_string().contains("fuzz.toml"), "{error}");
    }
});
