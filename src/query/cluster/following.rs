//! How far a worker is with the scans that it was sent. The engine's own conversation says what was read when a part ends: too
//! late for a progress line.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use datafusion_distributed::grpc::BoxCloneSyncChannel;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tonic::body::Body;
use tonic::server::{NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::scan::wire::{Received, SentScans};

/// How often a worker is asked.
const EVERY: Duration = Duration::from_millis(500);

const PATH: &str = "/logtally.Reading/SoFar";

#[derive(Clone, PartialEq, Message)]
struct SoFarRequest {
    #[prost(message, repeated, tag = "1")]
    scans: Vec<KnownMessage>,
}

/// What is known of a scan.
#[derive(Clone, PartialEq, Message)]
struct KnownMessage {
    #[prost(string, tag = "1")]
    scan: String,
    /// How many of its objects.
    #[prost(uint64, tag = "2")]
    objects: u64,
}

#[derive(Clone, PartialEq, Message)]
struct SoFarAnswer {
    /// The reports of the scans that have read more.
    #[prost(string, repeated, tag = "1")]
    reports: Vec<String>,
}

/// Counts what a worker has read of the scans that were sent, again and again. It has no end. What fails is said by the
/// conversation beside it.
pub(super) async fn follow(channel: BoxCloneSyncChannel, sent: Arc<SentScans>) -> Infallible {
    let mut client = tonic::client::Grpc::new(channel);
    let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let scans = sent.open().into_iter().map(|(scan, objects)| KnownMessage {
            scan,
            objects: objects as u64,
        });
        let request = Request::new(SoFarRequest {
            scans: scans.collect(),
        });
        if request.get_ref().scans.is_empty() || client.ready().await.is_err() {
            continue;
        }
        let path = PathAndQuery::from_static(PATH);
        let codec = ProstCodec::<SoFarRequest, SoFarAnswer>::default();
        let Ok(answer) = client.unary(request, path, codec).await else {
            continue;
        };
        for report in answer.into_inner().reports {
            if let Err(error) = sent.count_so_far(&report) {
                tracing::debug!("{}", error.message());
            }
        }
    }
}

/// The service of a worker that answers.
#[derive(Debug, Clone)]
pub(super) struct Following(Arc<Received>);

impl Following {
    pub(super) fn new(received: &Arc<Received>) -> Self {
        Self(Arc::clone(received))
    }
}

impl NamedService for Following {
    const NAME: &'static str = "logtally.Reading";
}

impl Service<http::Request<Body>> for Following {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        async move {
            if request.uri().path() != PATH {
                return Ok(Status::unimplemented("expected SoFar").into_http());
            }
            let codec = ProstCodec::<SoFarAnswer, SoFarRequest>::default();
            Ok(tonic::server::Grpc::new(codec)
                .unary(service, request)
                .await)
        }
        .boxed()
    }
}

impl UnaryService<SoFarRequest> for Following {
    type Response = SoFarAnswer;
    type Future = Ready<Result<Response<SoFarAnswer>, Status>>;

    fn call(&mut self, request: Request<SoFarRequest>) -> Self::Future {
        let scans = request.into_inner().scans.into_iter();
        let reports = scans.filter_map(|known| {
            let objects = usize::try_from(known.objects).ok()?;
            self.0.so_far(&known.scan, objects)
        });
        ready(Ok(Response::new(SoFarAnswer {
            reports: reports.collect(),
        })))
    }
}
