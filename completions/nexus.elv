
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
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
            cand oauth 'Sign in and out, look at the session, hand out its token'
            cand chat 'Ask a question and stream the answer'
            cand batch 'Answer every line of a file, as fast as the API allows'
            cand history 'List, show, search, export and delete the conversations that were kept'
            cand models 'List the models that the session may use, one id a line'
            cand key 'Tell and choose where the key to the stored session is kept'
            cand demo 'Watch the whole job happen with nothing configured and no network'
            cand completions 'Print the completion script for a shell'
        }
        &'nexus;oauth'= {
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand start 'Sign in: opens the browser and waits for the approval'
            cand status 'Tell whether there is a session and how long its token lives, without the network'
            cand logout 'Revoke the session at the server where that can be done, and forget it here'
            cand token 'Print a fresh access token and nothing else'
        }
        &'nexus;oauth;start'= {
            cand -p 'Sign in to this provider of config.toml'
            cand --provider 'Sign in to this provider of config.toml'
            cand --timeout 'How long to wait for the approval (90s, 5m, 1h)'
            cand --no-browser 'Print the URL and open no browser'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;oauth;status'= {
            cand -p 'Look at this provider of config.toml'
            cand --provider 'Look at this provider of config.toml'
            cand --json 'Print an object for programs'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;oauth;logout'= {
            cand -p 'Sign out of this provider of config.toml'
            cand --provider 'Sign out of this provider of config.toml'
            cand --all 'Sign out of every provider'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;oauth;token'= {
            cand -p 'Use this provider of config.toml'
            cand --provider 'Use this provider of config.toml'
            cand --min-ttl 'Ask for a token that lives at least so long (90s, 5m, 1h)'
            cand --json 'Print an object for programs'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
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
            cand --retries 'Number of retries after transient failures'
            cand --deadline 'Maximum time until an answer begins, retries included (90s, 5m, 1h)'
            cand -a 'Attach a file, recognised by its content: text, PNG, JPEG, GIF, WebP or PDF; `-` is stdin'
            cand --attach 'Attach a file, recognised by its content: text, PNG, JPEG, GIF, WebP or PDF; `-` is stdin'
            cand --effort 'Effort to put into the answer'
            cand --conversation 'Continue the conversation with this id, or a prefix of one'
            cand --output 'Output format'
            cand --schema 'JSON Schema, or a file with one, that the answer must match'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand --no-stdin 'Do not read stdin'
            cand --thinking 'Show the model''s thinking on stderr, if the API returns it'
            cand -c 'Continue the most recent conversation'
            cand --continue 'Continue the most recent conversation'
            cand --history 'Save to the history even if stdout is not a terminal'
            cand --no-history 'Do not save to the history'
            cand --json 'Alias for --output json'
            cand --raw 'Do not render Markdown; piped output never is rendered'
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
            cand --retries 'Number of retries after transient failures'
            cand --deadline 'Maximum time until an answer begins, retries included (90s, 5m, 1h)'
            cand --jobs 'Maximum number of concurrent requests'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history'= {
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand list 'List the conversations, the last used first'
            cand show 'Print a conversation as Markdown'
            cand search 'Find what was said, by its words'
            cand delete 'Delete conversations for good, from the search index too'
            cand export 'Print every conversation whole'
        }
        &'nexus;history;list'= {
            cand -n 'So many at most'
            cand --limit 'So many at most'
            cand --json 'Print an object for programs'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history;show'= {
            cand --json 'Print an object for programs'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history;search'= {
            cand -n 'So many at most'
            cand --limit 'So many at most'
            cand --json 'Print an object for programs'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history;delete'= {
            cand --older-than 'Those in which nothing was said for so long (90s, 5m, 1h, 30d)'
            cand --all 'Everything that is kept'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;history;export'= {
            cand --format 'How it is written'
            cand --json 'The same as --format json'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;models'= {
            cand -p 'Use this provider of config.toml'
            cand --provider 'Use this provider of config.toml'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand --json 'Print an object for programs'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;key'= {
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
            cand show 'Tell who keeps the key, and make sure that it opens what is stored'
            cand move 'Hand the key to another keeper, losing nothing'
        }
        &'nexus;key;show'= {
            cand --json 'Print an object for programs'
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;key;move'= {
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help (see more with ''--help'')'
            cand --help 'Print help (see more with ''--help'')'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;demo'= {
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -y 'Approve the sign-in without a browser'
            cand --yes 'Approve the sign-in without a browser'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
        &'nexus;completions'= {
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
            cand -h 'Print help'
            cand --help 'Print help'
            cand -V 'Print version'
            cand --version 'Print version'
        }
    ]
    $completions[$command]
}
