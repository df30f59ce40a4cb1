# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_nexus_global_optspecs
    string join \n v/verbose h/help V/version
end

function __fish_nexus_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_nexus_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_nexus_using_subcommand
    set -l cmd (__fish_nexus_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c nexus -n "__fish_nexus_needs_command" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_needs_command" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "login" -d 'Sign in: open the browser and wait for approval (same as `nexus oauth start`)'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "oauth" -d 'Sign in and out, show the session, print its access token'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "chat" -d 'Ask a question and stream the answer'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "batch" -d 'Answer every line of a file, as fast as the API allows'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "history" -d 'List, show, search, export and delete saved conversations'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "models" -d 'List the available models, one id per line'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "proxy" -d 'Lend the session to programs that take only a base URL and a static key'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "exec" -d 'Run a program that uses the session: `nexus exec -- claude`'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "setup" -d 'Show what to put where, so that another program uses the session'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "doctor" -d 'Find what is wrong, and how to fix it'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "provider" -d 'List and remove the configured providers, choose the default one'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "config" -d 'Show the configuration'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "key" -d 'Show or choose where the key to the stored sessions is kept'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "store" -d 'Show the store of the sessions, create the tables of a PostgreSQL store'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "demo" -d 'Try nexus against a built-in sandbox, without configuration or network'
complete -c nexus -n "__fish_nexus_needs_command" -f -a "completions" -d 'Print the completion script for a shell'
complete -c nexus -n "__fish_nexus_using_subcommand login" -l client-id -d 'Id of the client that is registered there' -r
complete -c nexus -n "__fish_nexus_using_subcommand login" -l client-secret-file -d 'File that contains the secret of the client' -r -F
complete -c nexus -n "__fish_nexus_using_subcommand login" -l redirect-uri -d 'Redirect URI that is registered with the client [default: http://localhost:4000/oauth/NAME/callback]' -r
complete -c nexus -n "__fish_nexus_using_subcommand login" -l api-url -d 'Base URL of the API, if it is not at URL' -r
complete -c nexus -n "__fish_nexus_using_subcommand login" -l scope -d 'Scope to ask for, instead of those that the server suggests; can be repeated' -r
complete -c nexus -n "__fish_nexus_using_subcommand login" -s p -l provider -d 'Provider to sign in to, as named in config.toml; with URL, the name to save it under' -r
complete -c nexus -n "__fish_nexus_using_subcommand login" -l timeout -d 'How long to wait for approval (90s, 5m, 1h) [default: 10m; with a code, as long as it is valid]' -r
complete -c nexus -n "__fish_nexus_using_subcommand login" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand login" -l no-browser -d 'Print the URL instead of opening a browser'
complete -c nexus -n "__fish_nexus_using_subcommand login" -l device -d 'Approve on another device: print a code to enter there'
complete -c nexus -n "__fish_nexus_using_subcommand login" -l new-client -d 'Register a new client at the server, instead of the one of an earlier sign-in'
complete -c nexus -n "__fish_nexus_using_subcommand login" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand login" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and not __fish_seen_subcommand_from start login status logout token refresh" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and not __fish_seen_subcommand_from start login status logout token refresh" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and not __fish_seen_subcommand_from start login status logout token refresh" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and not __fish_seen_subcommand_from start login status logout token refresh" -f -a "start" -d 'Sign in: open the browser and wait for approval'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and not __fish_seen_subcommand_from start login status logout token refresh" -f -a "login" -d 'Sign in: open the browser and wait for approval'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and not __fish_seen_subcommand_from start login status logout token refresh" -f -a "status" -d 'Show the session and when its token expires, without network access; --all for every session'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and not __fish_seen_subcommand_from start login status logout token refresh" -f -a "logout" -d 'Sign out: revoke the session if `revoke_url` is set, then delete it locally'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and not __fish_seen_subcommand_from start login status logout token refresh" -f -a "token" -d 'Print a fresh access token'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and not __fish_seen_subcommand_from start login status logout token refresh" -f -a "refresh" -d 'Refresh the token if it is past half its lifetime, for a timer; --all for every session'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -l client-id -d 'Id of the client that is registered there' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -l client-secret-file -d 'File that contains the secret of the client' -r -F
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -l redirect-uri -d 'Redirect URI that is registered with the client [default: http://localhost:4000/oauth/NAME/callback]' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -l api-url -d 'Base URL of the API, if it is not at URL' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -l scope -d 'Scope to ask for, instead of those that the server suggests; can be repeated' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -s p -l provider -d 'Provider to sign in to, as named in config.toml; with URL, the name to save it under' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -l timeout -d 'How long to wait for approval (90s, 5m, 1h) [default: 10m; with a code, as long as it is valid]' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -l no-browser -d 'Print the URL instead of opening a browser'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -l device -d 'Approve on another device: print a code to enter there'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -l new-client -d 'Register a new client at the server, instead of the one of an earlier sign-in'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from start" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -l client-id -d 'Id of the client that is registered there' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -l client-secret-file -d 'File that contains the secret of the client' -r -F
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -l redirect-uri -d 'Redirect URI that is registered with the client [default: http://localhost:4000/oauth/NAME/callback]' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -l api-url -d 'Base URL of the API, if it is not at URL' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -l scope -d 'Scope to ask for, instead of those that the server suggests; can be repeated' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -s p -l provider -d 'Provider to sign in to, as named in config.toml; with URL, the name to save it under' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -l timeout -d 'How long to wait for approval (90s, 5m, 1h) [default: 10m; with a code, as long as it is valid]' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -l no-browser -d 'Print the URL instead of opening a browser'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -l device -d 'Approve on another device: print a code to enter there'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -l new-client -d 'Register a new client at the server, instead of the one of an earlier sign-in'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from login" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from status" -s p -l provider -d 'Provider to show, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from status" -l all -d 'Show every session, also of providers that are no longer configured'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from status" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from logout" -s p -l provider -d 'Provider to sign out of, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from logout" -l all -d 'Sign out of every provider'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from logout" -l unlink -d 'Revoke the session even if that unlinks the customer\'s organisation (claude_platform)'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from logout" -l yes -d 'Do not ask before unlinking'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from logout" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from logout" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from logout" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from token" -s p -l provider -d 'Provider to use, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from token" -l min-ttl -d 'Minimum remaining lifetime of the token (90s, 5m, 1h)' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from token" -l format -d 'What to print: the token, or the header that carries it, for `curl -H @<(...)`' -r -f -a "bare\t'The token alone'
header\t'`Authorization: Bearer TOKEN`, or the header that `token_header` of the provider names'"
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from token" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from token" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from token" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from refresh" -s p -l provider -d 'Provider to refresh, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from refresh" -l all -d 'Refresh every session'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from refresh" -l force -d 'Refresh tokens of any age'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from refresh" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from refresh" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand oauth; and __fish_seen_subcommand_from refresh" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -s s -l system -d 'System prompt' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l system-file -d 'Read the system prompt from a file' -r -F
complete -c nexus -n "__fish_nexus_using_subcommand chat" -s t -l template -d 'Use templates/NAME.toml, beside config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l var -d 'Set a variable of the template' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -s m -l model -d 'Model id or alias [default: the template\'s, the configured, or the newest available model]' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l max-tokens -d 'Maximum length of the answer, in tokens' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -s p -l provider -d 'Provider of config.toml to use' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l retries -d 'Maximum number of retries after transient failures [default: no limit, but `batch` retries a line twice]' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l deadline -d 'Maximum time until an answer begins, retries included (90s, 5m, 1h)' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -s a -l attach -d 'Attach a file, recognized by its content: text, PNG, JPEG, GIF, WebP or PDF; `-` is stdin' -r -F
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l effort -d 'Effort to put into the answer' -r -f -a "low\t''
medium\t''
high\t''
xhigh\t''
max\t''"
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l thinking -d 'Show the model\'s thinking on stderr, if the API returns it' -r -f -a "auto\t'If the list of models says that it supports thinking'
always\t'Whatever the list of models says'"
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l conversation -d 'Continue the conversation with this id, or a prefix of one' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l output -d 'Output format' -r -f -a "text\t'The text as it arrives'
json\t'One object at the end'
stream-json\t'One object per line as it happens; the last is a result or an error'"
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l schema -d 'JSON Schema, or a file with one, that the answer must match' -r
complete -c nexus -n "__fish_nexus_using_subcommand chat" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l no-stdin -d 'Do not read stdin'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -s c -l continue -d 'Continue the most recent conversation'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l history -d 'Save to the history even if stdout is not a terminal'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l no-history -d 'Do not save to the history'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l json -d 'Alias for --output json'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l raw -d 'Do not render Markdown (piped output is never rendered)'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -l usage -d 'Print tokens and time to stderr'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand chat" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand batch" -l out -d 'Write the results to a file, and resume from the answers in it' -r -F
complete -c nexus -n "__fish_nexus_using_subcommand batch" -s s -l system -d 'System prompt' -r
complete -c nexus -n "__fish_nexus_using_subcommand batch" -l system-file -d 'Read the system prompt from a file' -r -F
complete -c nexus -n "__fish_nexus_using_subcommand batch" -s t -l template -d 'Use templates/NAME.toml, beside config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand batch" -l var -d 'Set a variable of the template' -r
complete -c nexus -n "__fish_nexus_using_subcommand batch" -s m -l model -d 'Model id or alias [default: the template\'s, the configured, or the newest available model]' -r
complete -c nexus -n "__fish_nexus_using_subcommand batch" -l max-tokens -d 'Maximum length of the answer, in tokens' -r
complete -c nexus -n "__fish_nexus_using_subcommand batch" -s p -l provider -d 'Provider of config.toml to use' -r
complete -c nexus -n "__fish_nexus_using_subcommand batch" -l retries -d 'Maximum number of retries after transient failures [default: no limit, but `batch` retries a line twice]' -r
complete -c nexus -n "__fish_nexus_using_subcommand batch" -l deadline -d 'Maximum time until an answer begins, retries included (90s, 5m, 1h)' -r
complete -c nexus -n "__fish_nexus_using_subcommand batch" -l jobs -d 'Maximum number of concurrent requests' -r
complete -c nexus -n "__fish_nexus_using_subcommand batch" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand batch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand batch" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand history; and not __fish_seen_subcommand_from list show search delete export" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand history; and not __fish_seen_subcommand_from list show search delete export" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand history; and not __fish_seen_subcommand_from list show search delete export" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand history; and not __fish_seen_subcommand_from list show search delete export" -f -a "list" -d 'List conversations, most recently used first'
complete -c nexus -n "__fish_nexus_using_subcommand history; and not __fish_seen_subcommand_from list show search delete export" -f -a "show" -d 'Print a conversation as Markdown'
complete -c nexus -n "__fish_nexus_using_subcommand history; and not __fish_seen_subcommand_from list show search delete export" -f -a "search" -d 'Search the text of conversations'
complete -c nexus -n "__fish_nexus_using_subcommand history; and not __fish_seen_subcommand_from list show search delete export" -f -a "delete" -d 'Delete conversations permanently'
complete -c nexus -n "__fish_nexus_using_subcommand history; and not __fish_seen_subcommand_from list show search delete export" -f -a "export" -d 'Print all conversations'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from list" -s n -l limit -d 'Maximum number of results' -r
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from search" -s n -l limit -d 'Maximum number of results' -r
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from search" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from search" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from search" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from search" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from delete" -l older-than -d 'Delete conversations not used for this long (90s, 5m, 1h, 30d)' -r
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from delete" -l all -d 'Delete all conversations'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from delete" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from delete" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from delete" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from export" -l format -d 'Output format' -r -f -a "json\t'One object with all conversations, each as in `nexus history show --json`'
markdown\t'One document, with a section per conversation'"
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from export" -l json -d 'Short for --format json'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand history; and __fish_seen_subcommand_from export" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand models" -s p -l provider -d 'Provider to use, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand models" -l retries -d 'Maximum number of retries after transient failures [default: no limit, but `batch` retries a line twice]' -r
complete -c nexus -n "__fish_nexus_using_subcommand models" -l deadline -d 'Maximum time until an answer begins, retries included (90s, 5m, 1h)' -r
complete -c nexus -n "__fish_nexus_using_subcommand models" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand models" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand models" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand models" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand proxy" -s p -l provider -d 'Provider to use, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand proxy" -l listen -d 'Address on loopback to listen on; port 0 is any free port' -r
complete -c nexus -n "__fish_nexus_using_subcommand proxy" -l key-file -d 'File with the key, created with a new one if it does not exist; without it, the key is new for each run' -r -F
complete -c nexus -n "__fish_nexus_using_subcommand proxy" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand proxy" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand proxy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand proxy" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand exec" -s p -l provider -d 'Provider to use, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand exec" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand exec" -l env -d 'Hand over the access token itself; it ends while a long-running program still needs it'
complete -c nexus -n "__fish_nexus_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand exec" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand setup" -s p -l provider -d 'Provider to use, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand setup" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand setup" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand setup" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand doctor" -s p -l provider -d 'Provider to check, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand doctor" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand doctor" -l offline -d 'Check only what is on this machine'
complete -c nexus -n "__fish_nexus_using_subcommand doctor" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and not __fish_seen_subcommand_from list remove default" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and not __fish_seen_subcommand_from list remove default" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and not __fish_seen_subcommand_from list remove default" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and not __fish_seen_subcommand_from list remove default" -f -a "list" -d 'List the configured providers, which one is the default, and who is signed in'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and not __fish_seen_subcommand_from list remove default" -f -a "remove" -d 'Sign out of a provider and remove its section from config.toml'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and not __fish_seen_subcommand_from list remove default" -f -a "default" -d 'Choose the provider that commands use without --provider'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from list" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from remove" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from default" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from default" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand provider; and __fish_seen_subcommand_from default" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand config; and not __fish_seen_subcommand_from show" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand config; and not __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand config; and not __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand config; and not __fish_seen_subcommand_from show" -f -a "show" -d 'Show each value of the configuration, and where it comes from'
complete -c nexus -n "__fish_nexus_using_subcommand config; and __fish_seen_subcommand_from show" -s p -l provider -d 'Provider whose section to show, as named in config.toml' -r
complete -c nexus -n "__fish_nexus_using_subcommand config; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand config; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand config; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand key; and not __fish_seen_subcommand_from show add activate reseal retire move" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand key; and not __fish_seen_subcommand_from show add activate reseal retire move" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand key; and not __fish_seen_subcommand_from show add activate reseal retire move" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand key; and not __fish_seen_subcommand_from show add activate reseal retire move" -f -a "show" -d 'Show where the key is kept, and check that it opens the stored sessions'
complete -c nexus -n "__fish_nexus_using_subcommand key; and not __fish_seen_subcommand_from show add activate reseal retire move" -f -a "add" -d 'Make a new key, and print its id'
complete -c nexus -n "__fish_nexus_using_subcommand key; and not __fish_seen_subcommand_from show add activate reseal retire move" -f -a "activate" -d 'Make a key the active one, which seals new values'
complete -c nexus -n "__fish_nexus_using_subcommand key; and not __fish_seen_subcommand_from show add activate reseal retire move" -f -a "reseal" -d 'Seal everything that is stored with the active key'
complete -c nexus -n "__fish_nexus_using_subcommand key; and not __fish_seen_subcommand_from show add activate reseal retire move" -f -a "retire" -d 'Remove a key that nothing is sealed with any more'
complete -c nexus -n "__fish_nexus_using_subcommand key; and not __fish_seen_subcommand_from show add activate reseal retire move" -f -a "move" -d 'Move the key to another backend'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from show" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from add" -l out -d 'Write the line of the new key to this new file, or to stdout if it is `-`, and leave the keys of this machine as they are' -r -F
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from add" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from activate" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from activate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from activate" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from reseal" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from reseal" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from reseal" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from reseal" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from retire" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from retire" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from retire" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from move" -s y -l yes -d 'Take over sessions without asking, although their key is not where config.toml says'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from move" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from move" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand key; and __fish_seen_subcommand_from move" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand store; and not __fish_seen_subcommand_from status migrate schema" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand store; and not __fish_seen_subcommand_from status migrate schema" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand store; and not __fish_seen_subcommand_from status migrate schema" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand store; and not __fish_seen_subcommand_from status migrate schema" -f -a "status" -d 'Show where the sessions are stored and whether the store can be used'
complete -c nexus -n "__fish_nexus_using_subcommand store; and not __fish_seen_subcommand_from status migrate schema" -f -a "migrate" -d 'Create the tables of a PostgreSQL store, or migrate them to the version of this program'
complete -c nexus -n "__fish_nexus_using_subcommand store; and not __fish_seen_subcommand_from status migrate schema" -f -a "schema" -d 'Print the SQL that `nexus store migrate` runs on an empty database'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from status" -l json -d 'Print JSON'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from status" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from migrate" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from migrate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from migrate" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from schema" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from schema" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand store; and __fish_seen_subcommand_from schema" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand demo" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand demo" -s y -l yes -d 'Approve the sign-in without a browser'
complete -c nexus -n "__fish_nexus_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c nexus -n "__fish_nexus_using_subcommand demo" -s V -l version -d 'Print version'
complete -c nexus -n "__fish_nexus_using_subcommand completions" -s v -l verbose -d 'Log HTTP requests and responses to stderr, with secrets masked'
complete -c nexus -n "__fish_nexus_using_subcommand completions" -s h -l help -d 'Print help'
complete -c nexus -n "__fish_nexus_using_subcommand completions" -s V -l version -d 'Print version'
