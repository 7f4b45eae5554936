/// One row image of a batch.
struct BatchImage {
    /// Index of its event, -1 for none.
    var source: Int32 = -1
    var offset: Int32 = 0
    var length: Int32 = 0

    var exists: Bool { source >= 0 }
}
