//! One integration-test binary; one module a topic.

mod catalog;
mod conformance;
mod scenario;
mod tidy;
mod timeline;
