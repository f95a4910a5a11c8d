use super::*;
use crate::window::local_clock::LocalClock;
use proptest::prelude::*;

/// A line as `client|user|time|method|host|path|query|protocol|status|bytes|ms|referer|agent|forwarded|id`.
fn shown(message: &str) -> Option<String> {
    let line = AccessLine::parse(message)?;
    let mut clock = LocalClock::new(chrono_tz::UTC);
    let time = line.time.and_then(|time| time.instant_ms(&mut clock, None));
    let time = time.and_then(chrono::DateTime::from_timestamp_millis);
    let text = |text: Option<Cow<'_, str>>| text.unwrap_or_default().into_owned();
    let number = |number: Option<String>| number.unwrap_or_default();
    Some(
        [
            text(line.client),
            text(line.user),
            time.map(|time| time.format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
                .unwrap_or_default(),
            text(line.method),
            text(line.host),
            text(line.path),
            text(line.query),
            text(line.protocol),
            number(line.status.map(|it| it.to_string())),
            number(line.bytes.map(|it| it.to_string())),
            number(line.request_ms.map(|it| it.to_string())),
            text(line.referer),
            text(line.user_agent),
            text(line.forwarded_for),
            text(line.request_id),
        ]
        .join("|"),
    )
}

#[test]
fn lines_of_the_servers_documents() {
    for (message, expected) in [
        // https://httpd.apache.org/docs/2.4/logs.html
        (
            r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326"#,
            "127.0.0.1|frank|2000-10-10T20:55:36.000Z|GET||/apache_pb.gif||HTTP/1.0|200|2326|||||",
        ),
        (
            r#"127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326 "http://www.example.com/start.html" "Mozilla/4.08 [en] (Win98; I ;Nav)""#,
            "127.0.0.1|frank|2000-10-10T20:55:36.000Z|GET||/apache_pb.gif||HTTP/1.0|200|2326||http://www.example.com/start.html|Mozilla/4.08 [en] (Win98; I ;Nav)||",
        ),
        // With %D.
        (
            r#"::1 - - [21/Nov/2026:05:35:01 +0900] "POST /a?b=c&d HTTP/2.0" 304 - "-" "-" 41500"#,
            "::1||2026-11-20T20:35:01.000Z|POST||/a|b=c&d|HTTP/2.0|304||41.5||||",
        ),
        // nginx, with $http_x_forwarded_for and $request_time
        (
            r#"10.0.0.9 - - [21/Nov/2026:05:35:01 +0000] "GET / HTTP/1.1" 200 612 "https://example.com/\"x\"" "curl/8.5" "203.0.113.7, 10.0.0.2" 0.005"#,
            r#"10.0.0.9||2026-11-21T05:35:01.000Z|GET||/||HTTP/1.1|200|612|5|https://example.com/\"x\"|curl/8.5|203.0.113.7, 10.0.0.2|"#,
        ),
        // Keys of an amplified format.
        (
            r#"10.0.0.9 - - [21/Nov/2026:05:35:01 +0000] "GET /x HTTP/1.1" 499 0 "-" "-" "-" rt=1.250 uct="0.000" urt="1.249""#,
            "10.0.0.9||2026-11-21T05:35:01.000Z|GET||/x||HTTP/1.1|499|0|1250||||",
        ),
        // ingress-nginx
        (
            r#"192.0.2.1 - kim [21/Nov/2026:05:35:01 +0000] "GET /shop HTTP/1.1" 503 197 "-" "k6/0.49" 512 0.041 [default-shop-80] [] 10.1.2.3:8080 197 0.040 503 c9f7b0a1e2d34f5a8b6c7d8e9f0a1b2c"#,
            "192.0.2.1|kim|2026-11-21T05:35:01.000Z|GET||/shop||HTTP/1.1|503|197|41||k6/0.49||c9f7b0a1e2d34f5a8b6c7d8e9f0a1b2c",
        ),
        // Traefik
        (
            r#"10.0.0.1 - - [21/Nov/2026:05:35:01 +0000] "GET /a HTTP/1.1" 200 12 "-" "-" 7 "web@docker" "http://10.0.0.5:80" 3ms"#,
            "10.0.0.1||2026-11-21T05:35:01.000Z|GET||/a||HTTP/1.1|200|12|3||||",
        ),
        // vhost_combined
        (
            r#"shop.example.com:443 10.0.0.1 - - [21/Nov/2026:05:35:01 +0000] "GET /a HTTP/1.1" 200 12 "-" "x""#,
            "10.0.0.1||2026-11-21T05:35:01.000Z|GET|shop.example.com|/a||HTTP/1.1|200|12|||x||",
        ),
        // A container's line, and garbage in place of a request.
        (
            r#"2026-11-21T05:35:01.123456789Z stdout F 10.0.0.1 - - [21/Nov/2026:05:35:01 +0000] "\x16\x03\x01" 400 157 "-" "-""#,
            "10.0.0.1||2026-11-21T05:35:01.000Z||||||400|157|||||",
        ),
        // API Gateway, CLF: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
        (
            r#"203.0.113.7 - - [21/Nov/2026:05:35:01 +0000] "GET /orders/{id} HTTP/1.1" 200 512 c6af9ac6-7b61-11e6-9a41-93e8deadbeef"#,
            "203.0.113.7||2026-11-21T05:35:01.000Z|GET||/orders/{id}||HTTP/1.1|200|512|||||c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
        ),
        // API Gateway, JSON
        (
            r#"{ "requestId":"c6af9ac6", "ip": "203.0.113.7", "caller":"-", "user":"-","requestTime":"21/Nov/2026:05:35:01 +0000", "httpMethod":"GET","resourcePath":"/orders", "status":"502","protocol":"HTTP/1.1", "responseLength":"36", "responseLatency":"41" }"#,
            "203.0.113.7||2026-11-21T05:35:01.000Z|GET||/orders||HTTP/1.1|502|36|41||||c6af9ac6",
        ),
        (
            r#"{"requestId":"x","ip":"203.0.113.7","requestTime":"21/Nov/2026:05:35:01 +0000","routeKey":"GET /orders/{id}","status":"200","protocol":"HTTP/1.1","responseLength":"36"}"#,
            "203.0.113.7||2026-11-21T05:35:01.000Z|GET||/orders/{id}||HTTP/1.1|200|36|||||x",
        ),
        // nginx with JSON
        (
            r#"{"time_iso8601":"2026-11-21T05:35:01+09:00","remote_addr":"10.0.0.1","request":"GET /a?b=c HTTP/1.1","status":200,"body_bytes_sent":12,"request_time":0.250,"http_user_agent":"x","http_referer":""}"#,
            "10.0.0.1||2026-11-20T20:35:01.000Z|GET||/a|b=c|HTTP/1.1|200|12|250||x||",
        ),
        // Caddy
        (
            r#"{"level":"info","ts":1795206901.5,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"10.0.0.1","remote_port":"41342","proto":"HTTP/2.0","method":"GET","host":"localhost:8080","uri":"/a?b=c"},"duration":0.001929675,"size":10900,"status":200}"#,
            "10.0.0.1||2026-11-20T20:35:01.500Z|GET|localhost|/a|b=c|HTTP/2.0|200|10900|1.929675||||",
        ),
        // Application Load Balancer
        (
            r#"http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/a?b=c HTTP/1.1" "curl/7.46.0" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#,
            "192.168.131.39||2018-07-02T22:23:00.186Z|GET|www.example.com|/a|b=c|HTTP/1.1|200|366|1||curl/7.46.0||Root=1-58337262-36d228ad5d99923122bbe354",
        ),
        (
            r#"https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 [2001:db8::1]:2817 - -1 -1 -1 502 - 34 366 "- http://www.example.com:443- -" "-" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:x "-" "-" "-" 0 2018-07-02T22:22:48.364000Z "-" "-" "-" "-" "-" "-" "-""#,
            "2001:db8::1||2018-07-02T22:23:00.186Z||||||502|366|||||",
        ),
        // Classic Load Balancer
        (
            r#"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -"#,
            "192.168.131.39||2015-05-13T23:39:43.945Z|GET|www.example.com|/||HTTP/1.1|200|29|1.178||curl/7.38.0||",
        ),
        // CloudFront
        (
            "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t-\tMozilla/5.0%20(Windows%20NT%2010.0)\ta=b\t-\tHit\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\twww.example.com\thttps\t23\t0.001\t-\tTLSv1.2\tECDHE-RSA-AES128-GCM-SHA256\tHit\tHTTP/2.0\t-\t-\t11040\t0.001\tHit\ttext/html\t78\t-\t-",
            "192.0.2.100||2019-12-04T21:02:31.000Z|GET|www.example.com|/index.html|a=b|HTTP/2.0|200|392|1||Mozilla/5.0 (Windows NT 10.0)||SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==",
        ),
        // Amazon S3
        (
            r#"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be amzn-s3-demo-bucket1 [06/Feb/2019:00:00:38 +0000] 192.0.2.3 79a59df9 3E57427F3EXAMPLE REST.GET.VERSIONING - "GET /amzn-s3-demo-bucket1?versioning HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" - s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV4 ECDHE-RSA-AES128-GCM-SHA256 AuthHeader s3.us-west-1.amazonaws.com TLSV1.2"#,
            "192.0.2.3|79a59df9|2019-02-06T00:00:38.000Z|GET||/amzn-s3-demo-bucket1|versioning|HTTP/1.1|200|113|7||S3Console/0.4||3E57427F3EXAMPLE",
        ),
    ] {
        assert_eq!(shown(message).as_deref(), Some(expected), "{message}");
    }
}

#[test]
fn other_lines_are_none() {
    for message in [
        "",
        "-",
        "plain text",
        "[INFO] order placed",
        "2026-11-21 05:35:01 ERROR [main] com.example.Shop - \"x\" 200 5",
        r#"10.0.0.1 - - [yesterday] "GET / HTTP/1.1" 200 5"#,
        r#"10.0.0.1 - - [21/Nov/2026:05:35:01 +0000] "GET / HTTP/1.1" OK 5"#,
        r#"10.0.0.1 - - [21/Nov/2026:05:35:01 +0000] "GET / HTTP/1.1""#,
        r#"{"level":"info","status":200}"#,
        r#"{"method":"GET","path":"/"}"#,
        "http 2018-07-02T22:23:00.186641Z started",
        "2026-11-21T05:35:01.000Z app a b c d e f g",
    ] {
        assert_eq!(shown(message), None, "{message}");
    }
}

proptest! {
    #[test]
    fn any_line_is_read(message in any::<String>()) {
        AccessLine::parse(&message);
    }

    #[test]
    fn any_line_that_looks_like_one_is_read(
        before in "[a-z0-9. :\\[\\]-]{0,20}",
        behind in "[\"\\[\\] \\\\a-z0-9=.,:한-]{0,60}",
    ) {
        AccessLine::parse(&format!("{before} [21/Nov/2026:05:35:01 +0900] {behind}"));
        AccessLine::parse(&format!("http 2026-11-21T05:35:01Z {before} {behind}"));
        AccessLine::parse(&format!("2026-11-21\t05:35:01\t{}", behind.replace(' ', "\t")));
    }

    #[test]
    fn what_a_line_says_is_read(
        path in "/[a-z0-9/._-]{0,20}",
        status in 100..600_i32,
        bytes in 0..i64::MAX,
        agent in "[a-zA-Z0-9/.() ;-]{1,30}",
        ms in 0..100_000_u32,
    ) {
        let seconds = format!("{}.{:03}", ms / 1000, ms % 1000);
        let line = format!(
            r#"10.0.0.1 - - [21/Nov/2026:05:35:01 +0900] "GET {path} HTTP/1.1" {status} {bytes} "-" "{agent}" {seconds}"#
        );
        let found = AccessLine::parse(&line).unwrap();
        prop_assert_eq!(found.path.as_deref(), Some(path.as_str()));
        prop_assert_eq!(found.status, Some(status));
        prop_assert_eq!(found.bytes, Some(bytes));
        prop_assert_eq!(found.request_ms, Some(f64::from(ms)));
        prop_assert_eq!(found.user_agent.unwrap_or_default(), if agent == "-" { "" } else { &agent });
    }
}
