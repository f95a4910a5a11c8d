//! What AWS asks for, to estimate the cost of a night. Prices change: this file is the one place that has them.
//!
//! On-demand prices in US dollars without tax, discounts and free tiers. Sources: the price pages of CloudWatch, S3 and
//! Fargate. An export task has no price of its own there: S3's requests and storage are what it costs.

/// The month in which the prices were taken down.
pub const AS_OF: &str = "2026-03";

/// The prices of a Region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// The Region.
    pub region: &'static str,
    /// An export of a gigabyte out of CloudWatch Logs.
    pub export_gb: f64,
    /// A gigabyte that Logs Insights scans.
    pub insights_gb: f64,
    /// A thousand metrics that `GetMetricData` asks for.
    pub metrics_thousand: f64,
    /// A thousand requests to S3 that put or list.
    pub s3_puts_thousand: f64,
    /// A thousand requests to S3 that get.
    pub s3_gets_thousand: f64,
    /// A gigabyte in S3 for a month.
    pub s3_gb_month: f64,
    /// A vCPU of Fargate on ARM for an hour.
    pub fargate_vcpu_hour: f64,
    /// A gigabyte of memory of Fargate on ARM for an hour.
    pub fargate_gb_hour: f64,
}

const US_EAST_1: Prices = Prices {
    region: "us-east-1",
    export_gb: 0.0,
    insights_gb: 0.005,
    metrics_thousand: 0.01,
    s3_puts_thousand: 0.005,
    s3_gets_thousand: 0.0004,
    s3_gb_month: 0.023,
    fargate_vcpu_hour: 0.032_38,
    fargate_gb_hour: 0.003_56,
};

const AP_NORTHEAST_2: Prices = Prices {
    region: "ap-northeast-2",
    export_gb: 0.0,
    insights_gb: 0.0076,
    metrics_thousand: 0.01,
    s3_puts_thousand: 0.0045,
    s3_gets_thousand: 0.000_35,
    s3_gb_month: 0.025,
    fargate_vcpu_hour: 0.037_25,
    fargate_gb_hour: 0.004_09,
};

/// The prices of the Region, or those of us-east-1 where the Region is not here.
pub fn of_region(region: &str) -> Prices {
    match region {
        "ap-northeast-2" => AP_NORTHEAST_2,
        _ => US_EAST_1,
    }
}
