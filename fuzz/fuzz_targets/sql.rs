//! Any text as SQL over `logs`: it is planned or refused, without a panic and without writing anything.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use logtally::error::Class;
use logtally::query::{Engine, Session, statements};
use tokio::runtime::{Builder, Runtime};

const MEMORY: u64 = 64 << 20;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime")
});

static SESSION: LazyLock<Session> = LazyLock::new(|| {
    let engine = Engine::without_disk(MEMORY).expect("an engine");
    let session = engine.session(chrono_tz::Asia::Seoul).expect("a session");
    session.expect_logs().expect("the table logs")
});

fuzz_target!(|text: &str| {
    for statement in statements(text) {
        let planned = RUNTIME.block_on(SESSION.statement(&statement.sql, "SQL"));
        if let Err(error) = planned {
            assert_ne!(
                error.class(),
                Class::Unexpected,
                "{}: {error}",
                statement.sql
            );
        }
    }
});
