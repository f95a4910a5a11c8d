//! The table of metrics in `docs/monitoring.md` is that of the code.

use super::read;
use crate::metrics::METRICS;

#[test]
fn the_page_lists_the_metrics() {
    let page = read("docs/monitoring.md");
    let rows = METRICS.map(|metric| {
        let (name, unit, meaning) = (metric.name, metric.unit, metric.meaning);
        format!("| `{name}` | {unit} | {meaning} |")
    });
    let table = format!(
        "| metric | unit | meaning |\n|---|---|---|\n{}\n\n",
        rows.join("\n")
    );
    assert!(
        page.contains(&table),
        "expected in docs/monitoring.md:\n{table}"
    );
}
