
use builtin;
use str;

set edit:completion:arg-completer[nexus] = {|@words|
    fn spaces {|n|
        builtin:repeat $n ' ' | str:join ''
    }
    fn cand {|text desc|
        edit:complex-candidate $text &display=$text' '(spaces (- 14 (wcswidth $text)))$desc
    }
    var command = 'nexus'
    for word $words[1..-1] {
        if (str:has-prefix $word '-') {
            break
        }
        set command = $command';'$word
    }
    var completions = [
        &'nexus'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand login 'Sign in: open the browser and wait for approval (same as `nexus oauth start`)'
            cand oauth 'Sign in and out, show the session, print its access token'
            cand chat 'Ask a question and stream the answer'
            cand batch 'Answer every line of a file, as fast as the API allows'
            cand history 'List, show, search, export and delete saved conversations'
            cand models 'List the available models, one id per line'
            cand provider 'List and remove the configured providers, choose the default one'
            cand key 'Show or choose where the key to the stored sessions is kept'
            cand store 'Show the store of the sessions, create the tables of a PostgreSQL store'
            cand demo 'Try nexus against a built-in sandbox, without configuration or network'
            cand completions 'Print the completion script for a shell'
        }
        &'nexus;login'= {
            cand --client-id 'Id of the client that is registered there'
            cand --client-secret-file 'File that contains the secret of the client'
            cand --redirect-uri 'Redirect URI that is registered with the client [default: http://localhost:4000/oauth/NAME/callback]'
            cand --api-url 'Base URL of the API, if it is not at URL'
            cand --scope 'Scope to ask for, instead of those that the server suggests; can be repeated'
            cand -p 'Provider to sign in to, as named in config.toml; with URL, the name to save it under'
            cand --provider 'Provider to sign in to, as named in config.toml; with URL, the name to save it under'
            cand --timeout 'How long to wait for approval (90s, 5m, 1h) [default: 10m; with a code, as long as it is valid]'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --no-browser 'Print the URL instead of opening a browser'
            cand --device 'Approve on another device: print a code to enter there'
            cand --new-client 'Register a new client at the server, instead of the one of an earlier sign-in'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;oauth'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand start 'Sign in: open the browser and wait for approval'
            cand login 'Sign in: open the browser and wait for approval'
            cand status 'Show the session and when its token expires, without network access; --all for every session'
            cand logout 'Sign out: revoke the session if `revoke_url` is set, then delete it locally'
            cand token 'Print a fresh access token'
        }
        &'nexus;oauth;start'= {
            cand --client-id 'Id of the client that is registered there'
            cand --client-secret-file 'File that contains the secret of the client'
            cand --redirect-uri 'Redirect URI that is registered with the client [default: http://localhost:4000/oauth/NAME/callback]'
            cand --api-url 'Base URL of the API, if it is not at URL'
            cand --scope 'Scope to ask for, instead of those that the server suggests; can be repeated'
            cand -p 'Provider to sign in to, as named in config.toml; with URL, the name to save it under'
            cand --provider 'Provider to sign in to, as named in config.toml; with URL, the name to save it under'
            cand --timeout 'How long to wait for approval (90s, 5m, 1h) [default: 10m; with a code, as long as it is valid]'
            cand --no-browser 'Print the URL instead of opening a browser'
            cand --device 'Approve on another device: print a code to enter there'
            cand --new-client 'Register a new client at the server, instead of the one of an earlier sign-in'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;oauth;login'= {
            cand --client-id 'Id of the client that is registered there'
            cand --client-secret-file 'File that contains the secret of the client'
            cand --redirect-uri 'Redirect URI that is registered with the client [default: http://localhost:4000/oauth/NAME/callback]'
            cand --api-url 'Base URL of the API, if it is not at URL'
            cand --scope 'Scope to ask for, instead of those that the server suggests; can be repeated'
            cand -p 'Provider to sign in to, as named in config.toml; with URL, the name to save it under'
            cand --provider 'Provider to sign in to, as named in config.toml; with URL, the name to save it under'
            cand --timeout 'How long to wait for approval (90s, 5m, 1h) [default: 10m; with a code, as long as it is valid]'
            cand --no-browser 'Print the URL instead of opening a browser'
            cand --device 'Approve on another device: print a code to enter there'
            cand --new-client 'Register a new client at the server, instead of the one of an earlier sign-in'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;oauth;status'= {
            cand -p 'Provider to show, as named in config.toml'
            cand --provider 'Provider to show, as named in config.toml'
            cand --all 'Show every session, also of providers that are no longer configured'
            cand --json 'Print JSON'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;oauth;logout'= {
            cand -p 'Provider to sign out of, as named in config.toml'
            cand --provider 'Provider to sign out of, as named in config.toml'
            cand --all 'Sign out of every provider'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;oauth;token'= {
            cand -p 'Provider to use, as named in config.toml'
            cand --provider 'Provider to use, as named in config.toml'
            cand --min-ttl 'Minimum remaining lifetime of the token (90s, 5m, 1h)'
            cand --json 'Print JSON'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;chat'= {
            cand -s 'System prompt'
            cand --system 'System prompt'
            cand --system-file 'Read the system prompt from a file'
            cand -t 'Use templates/NAME.toml, beside config.toml'
            cand --template 'Use templates/NAME.toml, beside config.toml'
            cand --var 'Set a variable of the template'
            cand -m 'Model id or alias [default: the template''s, the configured, or the newest available model]'
            cand --model 'Model id or alias [default: the template''s, the configured, or the newest available model]'
            cand --max-tokens 'Maximum length of the answer, in tokens'
            cand -p 'Provider of config.toml to use'
            cand --provider 'Provider of config.toml to use'
            cand --retries 'Maximum number of retries after transient failures [default: no limit, but `batch` retries a line twice]'
            cand --deadline 'Maximum time until an answer begins, retries included (90s, 5m, 1h)'
            cand -a 'Attach a file, recognized by its content: text, PNG, JPEG, GIF, WebP or PDF; `-` is stdin'
            cand --attach 'Attach a file, recognized by its content: text, PNG, JPEG, GIF, WebP or PDF; `-` is stdin'
            cand --effort 'Effort to put into the answer'
            cand --thinking 'Show the model''s thinking on stderr, if the API returns it'
            cand --conversation 'Continue the conversation with this id, or a prefix of one'
            cand --output 'Output format'
            cand --schema 'JSON Schema, or a file with one, that the answer must match'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --no-stdin 'Do not read stdin'
            cand -c 'Continue the most recent conversation'
            cand --continue 'Continue the most recent conversation'
            cand --history 'Save to the history even if stdout is not a terminal'
            cand --no-history 'Do not save to the history'
            cand --json 'Alias for --output json'
            cand --raw 'Do not render Markdown (piped output is never rendered)'
            cand --usage 'Print tokens and time to stderr'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;batch'= {
            cand --out 'Write the results to a file, and resume from the answers in it'
            cand -s 'System prompt'
            cand --system 'System prompt'
            cand --system-file 'Read the system prompt from a file'
            cand -t 'Use templates/NAME.toml, beside config.toml'
            cand --template 'Use templates/NAME.toml, beside config.toml'
            cand --var 'Set a variable of the template'
            cand -m 'Model id or alias [default: the template''s, the configured, or the newest available model]'
            cand --model 'Model id or alias [default: the template''s, the configured, or the newest available model]'
            cand --max-tokens 'Maximum length of the answer, in tokens'
            cand -p 'Provider of config.toml to use'
            cand --provider 'Provider of config.toml to use'
            cand --retries 'Maximum number of retries after transient failures [default: no limit, but `batch` retries a line twice]'
            cand --deadline 'Maximum time until an answer begins, retries included (90s, 5m, 1h)'
            cand --jobs 'Maximum number of concurrent requests'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand list 'List conversations, most recently used first'
            cand show 'Print a conversation as Markdown'
            cand search 'Search the text of conversations'
            cand delete 'Delete conversations permanently'
            cand export 'Print all conversations'
        }
        &'nexus;history;list'= {
            cand -n 'Maximum number of results'
            cand --limit 'Maximum number of results'
            cand --json 'Print JSON'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history;show'= {
            cand --json 'Print JSON'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history;search'= {
            cand -n 'Maximum number of results'
            cand --limit 'Maximum number of results'
            cand --json 'Print JSON'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history;delete'= {
            cand --older-than 'Delete conversations not used for this long (90s, 5m, 1h, 30d)'
            cand --all 'Delete all conversations'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history;export'= {
            cand --format 'Output format'
            cand --json 'Short for --format json'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;models'= {
            cand -p 'Provider to use, as named in config.toml'
            cand --provider 'Provider to use, as named in config.toml'
            cand --retries 'Maximum number of retries after transient failures [default: no limit, but `batch` retries a line twice]'
            cand --deadline 'Maximum time until an answer begins, retries included (90s, 5m, 1h)'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --json 'Print JSON'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;provider'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand list 'List the configured providers, which one is the default, and who is signed in'
            cand remove 'Sign out of a provider and remove its section from config.toml'
            cand default 'Choose the provider that commands use without --provider'
        }
        &'nexus;provider;list'= {
            cand --json 'Print JSON'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;provider;remove'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;provider;default'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;key'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand show 'Show where the key is kept, and check that it opens the stored sessions'
            cand move 'Move the key to another backend'
        }
        &'nexus;key;show'= {
            cand --json 'Print JSON'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;key;move'= {
            cand -y 'Take over sessions without asking, although their key is not where config.toml says'
            cand --yes 'Take over sessions without asking, although their key is not where config.toml says'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;store'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand status 'Show where the sessions are stored and whether the store can be used'
            cand migrate 'Create the tables of a PostgreSQL store, or migrate them to the version of this program'
            cand schema 'Print the SQL that `nexus store migrate` runs on an empty database'
        }
        &'nexus;store;status'= {
            cand --json 'Print JSON'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;store;migrate'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;store;schema'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;demo'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -y 'Approve the sign-in without a browser'
            cand --yes 'Approve the sign-in without a browser'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;completions'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
