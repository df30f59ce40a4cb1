
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
            cand oauth 'Sign in and out, show the session, print its access token'
            cand chat 'Ask a question and stream the answer'
            cand history 'List, show, search, export and delete saved conversations'
            cand models 'List the available models, one id per line'
            cand key 'Show or choose where the key to the stored sessions is kept'
            cand demo 'Try nexus against a built-in sandbox, without configuration or network'
            cand completions 'Print the completion script for a shell'
        }
        &'nexus;oauth'= {
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand start 'Sign in: open the browser and wait for approval'
            cand status 'Show the session and when its token expires, without network access'
            cand logout 'Sign out: revoke the session if `revoke_url` is set, then delete it locally'
            cand token 'Print a fresh access token'
        }
        &'nexus;oauth;start'= {
            cand -p 'Provider to sign in to, as named in config.toml'
            cand --provider 'Provider to sign in to, as named in config.toml'
            cand --timeout 'How long to wait for approval (90s, 5m, 1h)'
            cand --no-browser 'Print the URL instead of opening a browser'
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
            cand --json 'Print JSON'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
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
            cand -s 'What the model is told before the question'
            cand --system 'What the model is told before the question'
            cand --system-file 'The same, kept in a file'
            cand -a 'Send a file along: text, PNG, JPEG, GIF, WebP or PDF, by its content; `-` is stdin'
            cand --attach 'Send a file along: text, PNG, JPEG, GIF, WebP or PDF, by its content; `-` is stdin'
            cand -t 'Ask with templates/NAME.toml, which lies beside config.toml'
            cand --template 'Ask with templates/NAME.toml, which lies beside config.toml'
            cand --var 'Give a variable of the template its value'
            cand -m 'The model or an alias of one; else the template''s, else the configured one, else the newest that the session may use'
            cand --model 'The model or an alias of one; else the template''s, else the configured one, else the newest that the session may use'
            cand --max-tokens 'The longest answer, in tokens'
            cand -p 'Use this provider of config.toml; else a conversation goes on with its own'
            cand --provider 'Use this provider of config.toml; else a conversation goes on with its own'
            cand --conversation 'Go on with this conversation: its id, or the beginning of it'
            cand --retries 'How often to ask again when the service is busy or out of reach'
            cand --deadline 'How long all of it may take until the answer begins (90s, 5m, 1h)'
            cand --effort 'How much the model should do for the answer'
            cand --schema 'A JSON Schema, or the file of one, that the answer must fit'
            cand --output 'What stdout gets'
            cand --batch 'Answer every line of a file (- for stdin): objects with id, prompt and, if need be, system, model, max_tokens'
            cand --out 'Where the results of --batch go, one a line; run again, it asks only what has no answer there'
            cand --jobs 'The most questions of --batch that are on their way at once [default: 16]'
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -c 'Go on with the conversation that was used last'
            cand --continue 'Go on with the conversation that was used last'
            cand --history 'Keep this in the history, also where stdout is no terminal'
            cand --no-history 'Keep nothing of this in the history'
            cand --no-stdin 'Leave stdin alone, whatever it is'
            cand --raw 'Show the answer as it was written, without laying out its Markdown; in a pipe it always is'
            cand --usage 'Tell on stderr what the answer cost: tokens and time'
            cand --thinking 'Show on stderr what the model thinks, where the service tells'
            cand --json 'The same as --output json'
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
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --json 'Print JSON'
            cand -h 'Print help'
            cand --help 'Print help'
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
            cand -v 'Log HTTP requests and responses to stderr, with secrets masked'
            cand --verbose 'Log HTTP requests and responses to stderr, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
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
