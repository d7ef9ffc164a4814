//! ringkeeper against others' software: real ZooKeeper servers, clients and test-suites.

mod differential;
