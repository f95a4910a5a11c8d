//! What the integration tests stand on: the program in a folder of its own, a server with AWS's interfaces,
//! other people's readers, and exports in awkward shapes.

pub mod cloud;
pub mod engines;
pub mod events;
pub mod export;
pub mod faults;
pub mod job;
pub mod moto;
pub mod on_s3;
pub mod parquet;
pub mod program;
pub mod python;
pub mod server;
