internal import CMalloc

/// Keeps the C allocator from hoarding: large blocks go back to the system when they are freed,
/// although the allocator would by itself learn to keep them, and threads share two arenas. Chunks
/// of events are allocated on one thread and freed on another, which is the case that its
/// heuristics serve worst. Call it once, first thing in the process.
public func limitAllocator() {
    mallopt(M_MMAP_THRESHOLD, 128 << 10)
    mallopt(M_TRIM_THRESHOLD, 1 << 20)
    mallopt(M_ARENA_MAX, 2)
}
