//! A sans-IO raft replica, its log store and its driver: bytes in, bytes out.
