//! Credentials, Region, clock and network.

use chrono::TimeDelta;

use crate::aws::Account;
use crate::aws::policy::Holder;
use crate::error::Error;

use super::examination::Examination;
use super::finding::{Area, Finding, Outcome};

/// AWS refuses requests that are signed with a clock that is wrong by more than 15 minutes. By less than a minute is
/// usual; between, something is wrong with the machine.
const USUAL_SKEW: TimeDelta = TimeDelta::minutes(1);

/// Variables that say how AWS is reached.
const NETWORK: [&str; 9] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "NO_PROXY",
];

impl Examination<'_> {
    /// Finds out whose the credentials are. `false` where AWS can't be used, so that nothing else can be tried.
    pub(super) async fn account(&mut self) -> bool {
        self.network();
        let aws = self.environment.stores.aws();
        match aws.region(Account::Output).await {
            Ok(region) => self.region = region,
            Err(error) => return self.no_account("credentials", &error),
        }
        let output = match aws.caller(Account::Output).await {
            Ok(caller) => caller,
            Err(error) => return self.no_account("credentials", &error),
        };
        self.add(Finding::new(
            Area::Identity,
            &output.arn,
            Outcome::Ok,
            format!("account {}, Region {}", output.account, self.region),
        ));
        if let Some(server_time) = output.server_time {
            let skew = self.environment.clock.now() - server_time;
            self.skew(skew);
        }
        self.of_output = Some(output);
        true
    }

    /// Finds out whose the credentials for the logs of the source are. `false` where they can't be used.
    pub(super) async fn account_of_source(&mut self) -> bool {
        let aws = self.environment.stores.aws();
        let account = self.logs_account();
        match aws.region(account).await {
            Ok(region) => self.region = region,
            Err(error) if self.access().role_arn.is_none() => {
                return self.no_account("credentials", &error);
            }
            // Said of the role below.
            Err(_) => {}
        }
        let access = self.access();
        let is_as_answers = access.role_arn.is_none()
            && (&access.region, &access.profile) == (&self.job.aws.region, &self.job.aws.profile);
        if is_as_answers {
            self.of_logs.clone_from(&self.of_output);
            return true;
        }
        let caller = aws.caller(account).await;
        let Some(role) = access.role_arn else {
            return match caller {
                Ok(caller) => {
                    let message = format!("account {}, Region {}", caller.account, self.region);
                    let subject = caller.arn.clone();
                    self.add(Finding::new(Area::Identity, subject, Outcome::Ok, message));
                    self.of_logs = Some(caller);
                    true
                }
                Err(error) => self.no_account("credentials", &error),
            };
        };
        match caller {
            Ok(caller) => {
                let message = format!("assumed for the logs, account {}", caller.account);
                self.add(Finding::new(Area::Identity, role, Outcome::Ok, message));
                self.of_logs = Some(caller);
                true
            }
            Err(error) => {
                let missing = self.missing(Holder::Identity, "sts:AssumeRole", None);
                let message = format!(
                    "{error}. The identity must be allowed sts:AssumeRole, and the role's trust policy must name the identity"
                );
                self.add(Finding {
                    missing,
                    ..Finding::failed(Area::Identity, role, error.class(), message)
                });
                self.nothing_tried();
                false
            }
        }
    }

    fn no_account(&mut self, subject: &str, error: &Error) -> bool {
        self.add(Finding::of_error(Area::Identity, subject, error));
        self.nothing_tried();
        false
    }

    fn nothing_tried(&mut self) {
        self.add(Finding::new(
            Area::Logs,
            "logs and buckets",
            Outcome::NotChecked,
            "not checked, because no request can be made as long as the credentials do not work",
        ));
    }

    fn skew(&mut self, skew: TimeDelta) {
        let seconds = skew.num_seconds();
        let direction = match seconds > 0 {
            true => "ahead of",
            false => "behind",
        };
        let (outcome, message) = match skew.abs() <= USUAL_SKEW {
            // The header has whole seconds.
            true if seconds.abs() <= 1 => (Outcome::Ok, "agrees with AWS's".to_owned()),
            true => (
                Outcome::Ok,
                format!("{} s {direction} AWS's", seconds.abs()),
            ),
            false => (
                Outcome::Warning,
                format!(
                    "{} s {direction} AWS's: AWS refuses requests from 15 minutes on, and windows end by this clock. Set it by NTP",
                    seconds.abs()
                ),
            ),
        };
        self.add(Finding::new(Area::Identity, "clock", outcome, message));
    }

    /// How AWS is reached, where the environment says something of it.
    fn network(&mut self) {
        for name in NETWORK {
            let Some(value) = std::env::var(name).ok().filter(|value| !value.is_empty()) else {
                continue;
            };
            let is_plain = name.contains("ENDPOINT") && value.starts_with("http://");
            let is_here = ["://127.", "://localhost", "://[::1]"];
            let is_here = is_here.iter().any(|host| value.contains(host));
            let shown = without_password(&value);
            let (outcome, message) = match is_plain && !is_here {
                true => (
                    Outcome::Warning,
                    format!("{shown}: requests go over the network without TLS"),
                ),
                false => (Outcome::Note, shown),
            };
            self.add(Finding::new(Area::Identity, name, outcome, message));
        }
    }
}

/// The value of a variable without the user and password of a URL.
fn without_password(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return value.to_owned();
    };
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://…@{}", &rest[user.len() + 1..]),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_password_is_not_shown() {
        assert_eq!(
            without_password("http://me:secret@proxy:3128/x"),
            "http://…@proxy:3128/x"
        );
        assert_eq!(
            without_password("http://proxy:3128/a@b"),
            "http://proxy:3128/a@b"
        );
        assert_eq!(without_password("10.0.0.0/8"), "10.0.0.0/8");
    }
}
