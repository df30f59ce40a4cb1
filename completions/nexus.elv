
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
            cand -v 'Tell on stderr what happens on the wire, with secrets masked'
            cand --verbose 'Tell on stderr what happens on the wire, with secrets masked'
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
