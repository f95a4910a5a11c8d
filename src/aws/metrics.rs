//! CloudWatch's metrics: how many events came into log groups.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, StatusCode};

use super::logs::{Origin, ServiceError, ServiceErrorKind, service_error};
use super::network::Peer;
use super::{Account, Aws, endpoints};
use crate::error::Result;
use crate::job::split_group_arn;
use crate::window::Range;

/// GetMetricData takes 500 metrics; fewer keep an answer of a day by the minute below its 100,800 points.
const METRICS_IN_A_REQUEST: usize = 50;

/// The events that came into a log group during one period of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// The period's start, in milliseconds since 1970.
    pub start_ms: i64,
    /// How many events.
    pub events: f64,
}

/// The client for one account and Region.
#[derive(Debug, Clone)]
pub struct MetricsClient {
    client: Client,
    peer: Peer,
}

impl MetricsClient {
    /// A client with the credentials for the logs of an account.
    pub async fn new(aws: &Aws, account: Account) -> Result<Self> {
        let config = aws.config(account).await?;
        Ok(Self {
            client: Client::new(config),
            peer: Peer::of(&endpoints::of_metrics(config).await?),
        })
    }

    /// The metric `IncomingLogEvents` of log groups by periods of `period_s` seconds that begin in `range`, in no
    /// particular order. A period without events has no sample.
    pub async fn incoming_log_events(
        &self,
        log_groups: &[String],
        range: Range,
        period_s: i32,
    ) -> Result<Vec<Sample>, ServiceError> {
        self.incoming("IncomingLogEvents", log_groups, range, period_s)
            .await
    }

    /// The metric `IncomingBytes` of log groups in `range`, as the sum of its periods of an hour: the size of the events
    /// as they came in.
    pub async fn incoming_bytes(
        &self,
        log_groups: &[String],
        range: Range,
    ) -> Result<f64, ServiceError> {
        let samples = self.incoming("IncomingBytes", log_groups, range, 3600);
        Ok(samples.await?.iter().map(|sample| sample.events).sum())
    }

    async fn incoming(
        &self,
        metric: &str,
        log_groups: &[String],
        range: Range,
        period_s: i32,
    ) -> Result<Vec<Sample>, ServiceError> {
        let mut samples = Vec::new();
        for log_groups in log_groups.chunks(METRICS_IN_A_REQUEST) {
            let queries = log_groups
                .iter()
                .enumerate()
                .map(|(number, log_group)| query(metric, number, log_group, period_s))
                .collect();
            let mut pages = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(queries))
                .start_time(DateTime::from_millis(range.start_ms))
                .end_time(DateTime::from_millis(range.end_ms))
                .into_paginator()
                .send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| service_error(&error, &self.peer))?;
                let is_last = page.next_token.is_none();
                for result in page.metric_data_results.unwrap_or_default() {
                    check(metric, result.status_code.as_ref(), is_last)?;
                    let times = result.timestamps.unwrap_or_default();
                    let values = result.values.unwrap_or_default();
                    for (time, events) in times.iter().zip(values) {
                        let start_ms = time.to_millis().map_err(|error| ServiceError {
                            kind: ServiceErrorKind::Other,
                            message: format!("GetMetricData answered a time out of range: {error}"),
                        })?;
                        samples.push(Sample { start_ms, events });
                    }
                }
            }
        }
        Ok(samples)
    }
}

/// An error where samples of a metric are missing: an answer can lack those of some metrics.
fn check(metric: &str, status: Option<&StatusCode>, is_last: bool) -> Result<(), ServiceError> {
    let kind = match status {
        Some(StatusCode::Forbidden) => ServiceErrorKind::Refused,
        Some(StatusCode::InternalError) => ServiceErrorKind::Transient,
        Some(StatusCode::PartialData) if is_last => ServiceErrorKind::Transient,
        _ => return Ok(()),
    };
    let status = status.map(StatusCode::as_str).unwrap_or_default();
    Err(ServiceError {
        kind,
        message: format!("GetMetricData answered {status} for a metric {metric}"),
    })
}

fn query(metric: &str, number: usize, log_group: &str, period_s: i32) -> MetricDataQuery {
    let linked = split_group_arn(log_group);
    let name = linked.map_or(log_group, |(_, name)| name);
    let account = linked.and_then(|_| Origin::of_arn(log_group));
    let of_group = Dimension::builder()
        .name("LogGroupName")
        .value(name)
        .build();
    let of_logs = Metric::builder()
        .namespace("AWS/Logs")
        .metric_name(metric)
        .dimensions(of_group)
        .build();
    let sum = MetricStat::builder()
        .metric(of_logs)
        .period(period_s)
        .stat("Sum")
        .build();
    MetricDataQuery::builder()
        .id(format!("group{number}"))
        .set_account_id(account.map(|origin| origin.account))
        .metric_stat(sum)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_metric_is_an_error() {
        let kind = |status, is_last| {
            check("IncomingLogEvents", Some(&status), is_last)
                .err()
                .map(|error| error.kind)
        };
        assert_eq!(kind(StatusCode::Complete, true), None);
        assert_eq!(kind(StatusCode::PartialData, false), None);
        let transient = Some(ServiceErrorKind::Transient);
        assert_eq!(kind(StatusCode::PartialData, true), transient);
        assert_eq!(kind(StatusCode::InternalError, false), transient);
        assert_eq!(
            kind(StatusCode::Forbidden, false),
            Some(ServiceErrorKind::Refused)
        );
    }
}
