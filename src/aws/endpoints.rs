//! The endpoint of each service, resolved once: the SDK's rules for partitions, FIPS and dual-stack, and the endpoints that
//! are set in the environment and in AWS's configuration files. Both clients get the same.

use aws_config::SdkConfig;
use aws_sdk_cloudwatch::config::endpoint as metrics;
use aws_sdk_cloudwatchlogs::config::endpoint as logs;
use aws_sdk_s3::config::endpoint as s3;
use aws_types::service_config::ServiceConfigKey;

use crate::error::{Error, Result};

/// The endpoint that is set for a service by its id, as it is written in `[services]`, or for all services.
///
/// The SDK's client for CloudWatch Logs looks for `cloudwatch-logs` there; AWS documents `cloudwatch_logs`.
pub(super) fn configured(config: &SdkConfig, service: &str) -> Result<Option<String>> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .map_err(|error| refused(service, &error))?;
    let found = config
        .service_config()
        .and_then(|settings| settings.load_config(key));
    let Some(url) = found.filter(|url| !url.is_empty()) else {
        return Ok(None);
    };
    let uri: Option<http::Uri> = url.parse().ok();
    let is_url = uri.is_some_and(|uri| {
        uri.authority().is_some() && matches!(uri.scheme_str(), Some("http" | "https"))
    });
    match is_url {
        true => Ok(Some(url.trim_end_matches('/').to_owned())),
        false => Err(Error::usage(format!(
            "the endpoint that is set for {service} (AWS_ENDPOINT_URL, endpoint_url) is {url:?}: expected a URL such as https://host or http://host:port"
        ))),
    }
}

/// The endpoint of S3 that is set, where one is: it has no host name for each bucket.
pub(super) fn configured_s3(config: &SdkConfig) -> Result<Option<String>> {
    configured(config, "s3")
}

/// The endpoint of CloudWatch Logs that is set, where one is.
pub(super) fn configured_logs(config: &SdkConfig) -> Result<Option<String>> {
    configured(config, "cloudwatch_logs")
}

/// The URL of a bucket in a Region.
pub(super) async fn of_bucket(config: &SdkConfig, region: &str, bucket: &str) -> Result<String> {
    let configured = configured_s3(config)?;
    let parameters = s3::Params::builder()
        .region(region)
        .bucket(bucket)
        .set_use_fips(config.use_fips())
        .set_use_dual_stack(config.use_dual_stack())
        .force_path_style(configured.is_some())
        .set_endpoint(configured)
        .build()
        .map_err(|error| refused("s3", &error))?;
    let resolver = s3::DefaultResolver::new();
    let found = s3::ResolveEndpoint::resolve_endpoint(&resolver, &parameters);
    let found = found.await.map_err(|error| refused("s3", &*error))?;
    Ok(found.url().trim_end_matches('/').to_owned())
}

/// The endpoint of CloudWatch Logs.
pub(super) async fn of_logs(config: &SdkConfig) -> Result<String> {
    let parameters = logs::Params::builder()
        .set_region(config.region().map(ToString::to_string))
        .set_use_fips(config.use_fips())
        .set_use_dual_stack(config.use_dual_stack())
        .set_endpoint(configured_logs(config)?)
        .build()
        .map_err(|error| refused("cloudwatch_logs", &error))?;
    let resolver = logs::DefaultResolver::new();
    let found = logs::ResolveEndpoint::resolve_endpoint(&resolver, &parameters);
    let found = found
        .await
        .map_err(|error| refused("cloudwatch_logs", &*error))?;
    Ok(found.url().trim_end_matches('/').to_owned())
}

/// The endpoint of CloudWatch's metrics.
pub(super) async fn of_metrics(config: &SdkConfig) -> Result<String> {
    let parameters = metrics::Params::builder()
        .set_region(config.region().map(ToString::to_string))
        .set_use_fips(config.use_fips())
        .set_use_dual_stack(config.use_dual_stack())
        .set_endpoint(configured(config, "cloudwatch")?)
        .build()
        .map_err(|error| refused("cloudwatch", &error))?;
    let resolver = metrics::DefaultResolver::new();
    let found = metrics::ResolveEndpoint::resolve_endpoint(&resolver, &parameters);
    let found = found
        .await
        .map_err(|error| refused("cloudwatch", &*error))?;
    Ok(found.url().trim_end_matches('/').to_owned())
}

/// The setting of a key that the SDK has for several services, from the environment or the profile.
pub(super) fn setting(config: &SdkConfig, variable: &str, key: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("s3")
        .env(variable)
        .profile(key)
        .build();
    config.service_config()?.load_config(key.ok()?)
}

fn refused(service: &str, error: &(dyn std::error::Error + 'static)) -> Error {
    Error::usage(format!(
        "there is no endpoint of {service} for these settings: {}",
        super::root_cause(error)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_config::Region;

    fn config(region: &'static str, fips: bool, dual_stack: bool) -> SdkConfig {
        SdkConfig::builder()
            .region(Region::new(region))
            .use_fips(fips)
            .use_dual_stack(dual_stack)
            .build()
    }

    #[tokio::test]
    async fn each_partition_has_hosts_of_its_own() {
        for (region, fips, dual_stack, bucket, of_logs) in [
            (
                "eu-west-1",
                false,
                false,
                "https://acme.s3.eu-west-1.amazonaws.com",
                "https://logs.eu-west-1.amazonaws.com",
            ),
            (
                "us-gov-west-1",
                true,
                false,
                "https://acme.s3-fips.us-gov-west-1.amazonaws.com",
                "https://logs.us-gov-west-1.amazonaws.com",
            ),
            (
                "us-east-1",
                true,
                true,
                "https://acme.s3-fips.dualstack.us-east-1.amazonaws.com",
                "https://logs-fips.us-east-1.api.aws",
            ),
            (
                "eu-west-1",
                false,
                true,
                "https://acme.s3.dualstack.eu-west-1.amazonaws.com",
                "https://logs.eu-west-1.api.aws",
            ),
            (
                "cn-north-1",
                false,
                false,
                "https://acme.s3.cn-north-1.amazonaws.com.cn",
                "https://logs.cn-north-1.amazonaws.com.cn",
            ),
            (
                "us-iso-east-1",
                false,
                false,
                "https://acme.s3.us-iso-east-1.c2s.ic.gov",
                "https://logs.us-iso-east-1.c2s.ic.gov",
            ),
        ] {
            let config = config(region, fips, dual_stack);
            let found = of_bucket(&config, region, "acme").await.unwrap();
            assert_eq!(found, bucket);
            assert_eq!(super::of_logs(&config).await.unwrap(), of_logs);
        }
    }

    #[tokio::test]
    async fn a_bucket_with_a_dot_is_in_the_path() {
        let config = config("eu-west-1", false, false);
        let found = of_bucket(&config, "us-east-1", "logs.acme.example").await;
        assert_eq!(
            found.unwrap(),
            "https://s3.us-east-1.amazonaws.com/logs.acme.example"
        );
    }
}
