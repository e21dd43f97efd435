//! One integration-test binary; one module a topic.

mod catalog;
mod scenario;
mod tidy;
mod timeline;
