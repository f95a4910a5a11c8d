//! Where a run reports to. Only a message would show whether it arrives, so nothing is sent.

use super::examination::Examination;
use super::finding::{Area, Finding, Outcome};

impl Examination<'_> {
    /// Names the topic that a run publishes to.
    pub(super) fn notifications(&mut self) {
        let notify = self.job.notify.as_ref();
        let Some(topic) = notify.and_then(|notify| notify.sns.as_ref()) else {
            return;
        };
        let message = "whether a run may publish to the topic is not checked, because only a message shows that (sns:Publish)";
        self.add(Finding::new(
            Area::Notifications,
            topic.as_str(),
            Outcome::Note,
            message,
        ));
    }
}
