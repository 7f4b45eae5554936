/// How the tables of online schema change tools are told: DM's `online-ddl`, `shadow-table-rules`
/// and `trash-table-rules`. ``OnlineSchemaChangeStateMachine`` applies them.
public struct OnlineSchemaChangeRules: Sendable, Hashable, Codable {
    /// Regular expressions of the tables that take the real one's place; exactly one group, which
    /// is the real table's name. `^` and `$` are added where they are missing.
    public var shadowPatterns: [String]
    /// The same for tables that are to be thrown away.
    public var trashPatterns: [String]

    /// DM's defaults: gh-ost's `_t_gho`, `_t_ghc`, `_t_del`, pt-online-schema-change's `_t_new`,
    /// `_t_old`.
    public static let defaultShadowPatterns = ["^_(.+)_(?:new|gho)$"]
    /// See ``defaultShadowPatterns``.
    public static let defaultTrashPatterns = ["^_(.+)_(?:ghc|del|old)$"]

    /// Makes rules; an empty list means the default.
    public init(shadowPatterns: [String] = [], trashPatterns: [String] = []) {
        self.shadowPatterns =
            shadowPatterns.isEmpty ? Self.defaultShadowPatterns : shadowPatterns
        self.trashPatterns = trashPatterns.isEmpty ? Self.defaultTrashPatterns : trashPatterns
    }
}
