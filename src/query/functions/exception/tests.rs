//! Messages of each language, as their runtimes and loggers write them.

use super::exception_class;

fn class(message: &str) -> Option<String> {
    exception_class(message).map(std::borrow::Cow::into_owned)
}

#[test]
fn stack_traces_of_each_language() {
    for (message, expected) in [
        (
            "2026-11-21 05:35:07.250 8476a536 ERROR SettlementService - failed\njava.lang.IllegalStateException: not saved\n\
             \tat com.example.A.settle(A.java:118)\nCaused by: java.sql.SQLException: gone\n\tat com.example.B.b(B.java:1)\n\t... 4 more",
            "java.lang.IllegalStateException",
        ),
        (
            "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space\n\tat A.main(A.java:3)",
            "java.lang.OutOfMemoryError",
        ),
        (
            "boom: com.example.Outer$Lost\ncom.example.Outer$Lost: boom\nof two lines: x\n\tat A.b(A.java:3)",
            "com.example.Outer$Lost",
        ),
        (
            "java.lang.NullPointerException\n\tat A.main(A.java:3)",
            "java.lang.NullPointerException",
        ),
        (
            "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    x()\nKeyError: 'id'\n\n\
             During handling of the above exception, another exception occurred:\n\n\
             Traceback (most recent call last):\n  File \"a.py\", line 3, in g\n    raise\n    ^^^^\ndbpool.PoolTimeout: 5.0s\nof 20",
            "dbpool.PoolTimeout",
        ),
        (
            "ERROR:root:failed\nTraceback (most recent call last):\n  File \"a.py\", line 1\nsocket.timeout: timed out",
            "socket.timeout",
        ),
        (
            "[ERROR] PoolTimeout: 5.0s waited\nTraceback (most recent call last):\n\u{a0}\u{a0}File \"/var/task/a.py\", line 8, in f\n\u{a0}\u{a0}\u{a0}\u{a0}x()",
            "PoolTimeout",
        ),
        (
            "  + Exception Group Traceback (most recent call last):\n  |   File \"a.py\", line 1, in <module>\n  | ExceptionGroup: two (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | Traceback (most recent call last):\n    | ValueError: 1",
            "ExceptionGroup",
        ),
        (
            "2026-11-21T05:35:07.250Z\t8476a536-e9f4-11e8-9739-2dfe598c3fcd\tERROR\tServiceUnavailable: full\n    at MessageQueue.push (/var/task/q.js:58:13)",
            "ServiceUnavailable",
        ),
        (
            "2026-11-21T05:35:07.250Z\t8476a536-e9f4-11e8-9739-2dfe598c3fcd\tERROR\torder 7 failed\nTimeoutError: slow\n    at async f (a.js:1:2)",
            "TimeoutError",
        ),
        (
            "/app/a.js:5\n        throw e;\n        ^\n\nTypeError [ERR_INVALID_ARG_TYPE]: The \"path\" argument\n    at a (b.js:1:1)",
            "TypeError",
        ),
        (
            "2026-11-21T05:35:07.250Z\t8476a536\tERROR\tInvoke Error \t{\"errorType\":\"RangeError\",\"errorMessage\":\"x\",\"stack\":[\"RangeError: x\"]}",
            "RangeError",
        ),
        (
            "2025-12-11T15:13:28.520Z\t-\tERROR\tInvoke Error \t\n{\n    \"errorType\": \"Error\",\n    \"errorMessage\": \"x\"\n}\n",
            "Error",
        ),
        (
            "Unhandled exception. System.InvalidOperationException: outer\n ---> System.Exception: inner\n   at A.B() in /src/A.cs:line 5\n   --- End of inner exception stack trace ---\n   at A.C()",
            "System.InvalidOperationException",
        ),
        (
            "fail: Microsoft.AspNetCore.Server.Kestrel[13]\n      Connection id \"0\": An unhandled exception was thrown.\n      System.IO.IOException: broken\n         at A.B()",
            "System.IO.IOException",
        ),
        (
            "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\nmain.main()",
            "runtime.Error",
        ),
        (
            "2026/11/21 05:35:07 http: panic\npanic: (main.Failure) {0x1}\n\ngoroutine 1 [running]:",
            "main.Failure",
        ),
        ("panic: no stock\n\ngoroutine 1 [running]:", "panic"),
        (
            "fatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 [chan receive]:",
            "fatal error",
        ),
        (
            "thread 'main' panicked at src/main.rs:5:5:\nindex out of bounds",
            "panic",
        ),
        (
            "app.rb:3:in 'Object#pay': no card (KeyError)\n\tfrom app.rb:9:in '<main>'",
            "KeyError",
        ),
        (
            "PHP Fatal error:  Uncaught App\\Stock\\EmptyException: no kiwis in /app/a.php:3\nStack trace:\n#0 {main}",
            "App\\Stock\\EmptyException",
        ),
        (
            "[2025-08-31 12:34:56] local.ERROR: x {\"exception\":\"[object] (RuntimeException(code: 0): x at /a.php:5)",
            "RuntimeException",
        ),
        (
            "** (ArithmeticError) bad argument\n    a.ex:1: A.b/0",
            "ArithmeticError",
        ),
        (
            "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'x'\nTraceback (most recent call last):",
            "Runtime.ImportModuleError",
        ),
        (
            "2026-11-21 05:35:07 ERROR Handler:12 - request failed: java.net.SocketTimeoutException: Read timed out",
            "java.net.SocketTimeoutException",
        ),
    ] {
        assert_eq!(class(message).as_deref(), Some(expected), "{message}");
    }
}

#[test]
fn objects_of_loggers() {
    for (message, expected) in [
        (
            r#"{"level":"ERROR","message":"x","exception":"Traceback (most recent call last):\n  File \"a.py\", line 1\nValueError: y","exception_name":"ValueError"}"#,
            "ValueError",
        ),
        (
            r#"{"log_level":"ERROR","errorMessage":"x","errorType":"KeyError","requestId":"1","stackTrace":[]}"#,
            "KeyError",
        ),
        (
            r#"{"level":50,"err":{"type":"TypeError","message":"x","stack":"TypeError: x\n    at a"}}"#,
            "TypeError",
        ),
        (
            r#"{"level":"error","error":{"name":"AxiosError","message":"x"}}"#,
            "AxiosError",
        ),
        (
            r#"{"severity":"ERROR","stack_trace":"java.lang.IllegalStateException: x\n\tat A.b(A.java:1)\nCaused by: B"}"#,
            "java.lang.IllegalStateException",
        ),
        (
            r#"{"thrown":{"name":"java.lang.Error","message":"x"},"level":"ERROR"}"#,
            "java.lang.Error",
        ),
        (
            r#"{"@l":"Error","@x":"System.Exception: x\n   at A.B()"}"#,
            "System.Exception",
        ),
        (
            r#"{"level":"ERROR","message":{"errorType":"Error","errorMessage":"x"}}"#,
            "Error",
        ),
        (r#"{"error.type":"ECONNRESET"}"#, "ECONNRESET"),
        (
            "Error raised from handler method\n{\"errorMessage\":\"x\",\"errorType\":\"Function<KeyError>\"}",
            "KeyError",
        ),
        (
            r#"{"level":"ERROR","message":"failed\nTypeError: x\n    at a (b.js:1:1)"}"#,
            "TypeError",
        ),
    ] {
        assert_eq!(class(message).as_deref(), Some(expected), "{message}");
    }
}

#[test]
fn failures_of_lambda() {
    for (message, expected) in [
        (
            "2026-11-21T00:00:00.000Z 8476a536-e9f4-11e8-9739-2dfe598c3fcd Task timed out after 3.00 seconds",
            "Sandbox.Timedout",
        ),
        (
            "RequestId: 8476a536 Error: Runtime exited with error: signal: killed\nRuntime.ExitError\n",
            "Runtime.ExitError",
        ),
        (
            "RequestId: 8476a536 Process exited before completing request",
            "Runtime.ExitError",
        ),
        (
            "REPORT RequestId: a\tDuration: 3000.00 ms\tStatus: timeout",
            "Sandbox.Timedout",
        ),
        (
            "REPORT RequestId: a\tDuration: 3.00 ms\tStatus: error\tError Type: Runtime.OutOfMemory",
            "Runtime.OutOfMemory",
        ),
        (
            r#"{"type":"platform.report","record":{"requestId":"a","status":"error","errorType":"Function.Unhandled"}}"#,
            "Function.Unhandled",
        ),
    ] {
        assert_eq!(class(message).as_deref(), Some(expected), "{message}");
    }
}

#[test]
fn messages_without_an_exception() {
    for message in [
        "",
        "hello",
        "2026-11-21T05:35:07Z INFO two\nlines: of text",
        "[ERROR]\t2026-11-21T05:35:07.250Z\t8476a536\tno stock",
        "ts=2026-11-21T05:35:07Z level=error msg=\"no stock\" err=\"timed out\"",
        "upstream is healthy again, ERROR rate back under 1 percent",
        "Error: a sentence about what failed",
        "no exception was thrown",
        "10.0.0.1 - - [11/Feb/2013:06:43:36 +0000] \"GET /Error: HTTP/1.1\" 200 5778",
        "REPORT RequestId: a\tDuration: 3.00 ms",
        r#"{"level":"ERROR","message":"no stock","error":"timed out"}"#,
        r#"{"level":"INFO","message":"a\nb"}"#,
        r#"{"type":"platform.report","record":{"requestId":"a","status":"success"}}"#,
        r#"{"error":"-","status":"200"}"#,
    ] {
        assert_eq!(class(message), None, "{message}");
    }
}

proptest::proptest! {
    /// Any text has an answer, which is a part of it or a name of ours, and no panic.
    #[test]
    fn any_text(message in "(Traceback \\(most recent call last\\)|panic: |thread '|    at |---> |Error: |\\PC|\n|\t|\\{|\"errorType\":){0,12}") {
        if let Some(class) = exception_class(&message) {
            proptest::prop_assert!(!class.is_empty());
        }
    }
}
