import Glibc

/// Where this repository and its cache are.
public enum Repository {
    /// The repository's folder.
    public static let folder: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(3).joined(separator: "/")
    }()

    /// The folder for what is expensive to make again, as `scripts/cache-folder` says.
    static let cache: Result<String, TestServerError> = {
        do {
            let outcome = try ChildProcess.run([folder + "/scripts/cache-folder"])
            guard outcome.status == 0 else { throw TestServerError(outcome.errorText) }
            return .success(String(outcome.outputText.prefix { $0 != "\n" }))
        } catch let error as TestServerError {
            return .failure(error)
        } catch {
            return .failure(TestServerError("\(error)"))
        }
    }()
}
