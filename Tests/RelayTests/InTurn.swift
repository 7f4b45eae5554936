import Testing

/// Suites of which one runs at a time: each test starts servers, and what waits for an answer must
/// not wait for a dozen of them.
@Suite("In turn", .serialized)
struct InTurn {}
