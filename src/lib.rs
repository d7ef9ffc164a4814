//! ringkeeper, a drop-in replacement for an Apache ZooKeeper server.
