//! What whoever runs the platform relies on: traces, logs, metrics, health, configuration, and a graceful stop.

mod configuration;
mod limits;
mod logs;
mod metrics;
mod restarts;
mod stopping;
