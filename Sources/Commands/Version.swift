/// What this build calls itself.
public enum Version {
    /// The version's number.
    public static let text = "0.1.0"
}
