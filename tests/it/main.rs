//! The integration tests, linked once: each module drives the library through its public interface.

#[cfg(feature = "serve")]
mod api;
mod batches;
#[cfg(feature = "scenario")]
mod captures;
#[cfg(feature = "cli")]
mod cli;
mod crew;
mod edges;
#[cfg(feature = "scenario")]
mod exports;
#[cfg(feature = "scenario")]
mod files;
#[cfg(feature = "scenario")]
mod flow_logs;
#[cfg(feature = "cli")]
mod hostile;
#[cfg(feature = "serve")]
mod http;
#[cfg(feature = "scenario")]
mod json;
#[cfg(feature = "cli")]
mod kill;
mod lifecycle;
mod lifecycle_model;
#[cfg(feature = "scenario")]
mod lint;
mod lint_worlds;
#[cfg(feature = "scenario")]
mod mutations;
mod outside;
#[cfg(feature = "scenario")]
mod pages;
#[cfg(feature = "scenario")]
mod profiles;
mod repairs;
#[cfg(feature = "scenario")]
mod scenarios;
#[cfg(feature = "cli")]
mod server_page;
mod sim;
mod support;
mod tidy;
#[cfg(feature = "scenario")]
mod tshark;
mod twins;
mod under_traffic;
mod whole;
mod worlds;
