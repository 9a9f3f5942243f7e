//! Words that say nothing of what a text is about, in the languages that most bookmarks are in.

use std::{collections::HashSet, sync::LazyLock};

static STOP_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    [ENGLISH, GERMAN, FRENCH, SPANISH]
        .into_iter()
        .flatten()
        .copied()
        .collect()
});

/// Takes the word in lower case.
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(word)
}

/// Whether the word stands in addresses for the sake of servers, not of readers.
pub(super) fn is_web_word(word: &str) -> bool {
    WEB.contains(&word)
}

/// What is left of words with an apostrophe is among them: `didn`, `ll`.
#[rustfmt::skip]
const ENGLISH: &[&str] = &[
    "about", "above", "across", "after", "again", "against", "all", "almost", "along", "already", "also", "although",
    "always", "am", "among", "an", "and", "another", "any", "anyone", "anything", "are", "around", "as", "at",
    "away", "back", "be", "became", "because", "become", "been", "before", "began", "behind", "being", "below",
    "best", "better", "between", "both", "but", "by", "came", "can", "cannot", "come", "could", "did", "didn", "do",
    "does", "doesn", "doing", "don", "done", "down", "during", "each", "either", "else", "enough", "even", "ever",
    "every", "everyone", "everything", "few", "find", "first", "for", "from", "full", "further", "get", "gets",
    "getting", "give", "given", "go", "goes", "going", "good", "got", "great", "had", "has", "hasn", "have", "haven",
    "having", "he", "her", "here", "hers", "herself", "him", "himself", "his", "how", "however", "if", "in", "into",
    "is", "isn", "it", "its", "itself", "just", "keep", "know", "last", "later", "least", "less", "let", "like",
    "ll", "long", "look", "made", "make", "makes", "making", "many", "may", "maybe", "me", "might", "mine", "more",
    "most", "much", "must", "my", "myself", "need", "needs", "never", "new", "next", "no", "non", "none", "nor",
    "not", "nothing", "now", "of", "off", "often", "oh", "ok", "on", "once", "one", "only", "onto", "or", "other",
    "others", "our", "ours", "ourselves", "out", "over", "own", "part", "per", "perhaps", "please", "put", "quite",
    "rather", "re", "read", "really", "right", "said", "same", "say", "says", "see", "seem", "seems", "several",
    "shall", "she", "should", "shouldn", "show", "since", "so", "some", "something", "sometimes", "soon", "still",
    "such", "sure", "take", "than", "that", "the", "their", "theirs", "them", "themselves", "then", "there", "these",
    "they", "thing", "things", "this", "those", "though", "three", "through", "thus", "to", "together", "too", "top",
    "toward", "two", "under", "until", "up", "upon", "us", "use", "used", "useful", "uses", "using", "ve", "very",
    "via", "want", "was", "wasn", "way", "we", "well", "went", "were", "what", "whatever", "when", "where",
    "whether", "which", "while", "who", "whole", "whom", "whose", "why", "will", "with", "within", "without", "won",
    "work", "works", "would", "wouldn", "yes", "yet", "you", "your", "yours", "yourself",
];

/// Function words, pronouns, auxiliaries.
#[rustfmt::skip]
const GERMAN: &[&str] = &[
    "aber", "alle", "allem", "allen", "aller", "alles", "als", "also", "am", "an", "ander", "andere", "anderem",
    "anderen", "anderer", "anderes", "ans", "auch", "auf", "aus", "bei", "beim", "bin", "bis", "bist", "da", "dabei",
    "dadurch", "dafür", "dagegen", "daher", "damit", "danach", "daran", "darauf", "daraus", "darin", "das", "dass",
    "davon", "dazu", "dein", "deine", "dem", "den", "denen", "denn", "der", "deren", "des", "dessen", "dich", "die",
    "dies", "diese", "diesem", "diesen", "dieser", "dieses", "dir", "doch", "dort", "du", "durch", "ein", "eine",
    "einem", "einen", "einer", "eines", "einfach", "er", "es", "etwas", "euch", "euer", "eure", "für", "gegen",
    "gewesen", "hab", "habe", "haben", "hat", "hatte", "hatten", "hier", "hin", "hinter", "ich", "ihm", "ihn",
    "ihnen", "ihr", "ihre", "ihrem", "ihren", "ihrer", "im", "immer", "in", "ins", "ist", "ja", "jede", "jedem",
    "jeden", "jeder", "jedes", "jetzt", "kann", "kein", "keine", "keinem", "keinen", "keiner", "können", "man",
    "manche", "mehr", "mein", "meine", "mich", "mir", "mit", "muss", "nach", "nicht", "nichts", "noch", "nun", "nur",
    "ob", "oder", "ohne", "sehr", "sein", "seine", "seinem", "seinen", "seiner", "seit", "selbst", "sich", "sie",
    "sind", "so", "solche", "soll", "sollte", "sondern", "sonst", "um", "und", "uns", "unser", "unsere", "unter",
    "viel", "vom", "von", "vor", "wann", "war", "waren", "warum", "was", "weil", "welche", "welchem", "welchen",
    "welcher", "welches", "wenn", "wer", "werden", "wie", "wieder", "will", "wir", "wird", "wirst", "wo", "wollen",
    "wurde", "wurden", "während", "zu", "zum", "zur", "zwar", "zwischen", "über",
];

/// Function words, pronouns, auxiliaries.
#[rustfmt::skip]
const FRENCH: &[&str] = &[
    "ai", "alors", "au", "aucun", "aussi", "autre", "autres", "aux", "avant", "avec", "avoir", "bon", "car", "ce",
    "cela", "ces", "cet", "cette", "ceux", "chaque", "comme", "comment", "dans", "de", "des", "deux", "donc", "dont",
    "du", "elle", "elles", "en", "encore", "entre", "est", "et", "eu", "faire", "fait", "ici", "il", "ils", "je",
    "jusque", "la", "le", "les", "leur", "leurs", "là", "ma", "mais", "me", "mes", "moins", "mon", "même", "ne",
    "ni", "nos", "notre", "nous", "on", "ont", "ou", "où", "par", "parce", "pas", "peu", "peut", "plus", "pour",
    "pourquoi", "quand", "que", "quel", "quelle", "quelles", "quels", "qui", "quoi", "sa", "sans", "se", "sera",
    "ses", "seulement", "si", "son", "sont", "sous", "sur", "ta", "tes", "toi", "ton", "tous", "tout", "toute",
    "toutes", "très", "tu", "un", "une", "vers", "vos", "votre", "vous", "ça", "était", "été", "être",
];

/// Function words, pronouns, auxiliaries.
#[rustfmt::skip]
const SPANISH: &[&str] = &[
    "al", "algo", "algunas", "algunos", "ante", "antes", "aquí", "así", "aún", "bien", "cada", "como", "con",
    "contra", "cual", "cuando", "cómo", "de", "del", "desde", "donde", "dos", "el", "ella", "ellas", "ellos", "en",
    "entre", "era", "eran", "es", "esa", "esas", "ese", "eso", "esos", "esta", "estas", "este", "esto", "estos",
    "está", "están", "fue", "ha", "hace", "hacer", "han", "hasta", "hay", "la", "las", "le", "les", "lo", "los",
    "mas", "me", "mi", "mientras", "mis", "mucho", "muy", "más", "nada", "ni", "no", "nos", "nosotros", "nuestra",
    "nuestro", "otra", "otras", "otro", "otros", "para", "pero", "poco", "por", "porque", "que", "quien", "qué",
    "se", "sea", "ser", "si", "sido", "sin", "sobre", "son", "su", "sus", "sí", "también", "tan", "tanto", "te",
    "tiene", "tienen", "toda", "todas", "todo", "todos", "tu", "tus", "un", "una", "unas", "uno", "unos", "ya", "yo",
    "él",
];

/// Parts of paths and hosts.
#[rustfmt::skip]
const WEB: &[&str] = &[
    "amp", "article", "articles", "asp", "aspx", "blob", "blog", "blogs", "cgi", "com", "content", "default",
    "detail", "details", "download", "downloads", "edu", "en", "file", "files", "gov", "home", "htm", "html", "http",
    "https", "id", "index", "item", "items", "jsp", "main", "master", "mobile", "net", "news", "org", "page",
    "pages", "php", "post", "posts", "public", "search", "show", "site", "sites", "static", "story", "tag", "tags",
    "thread", "topic", "topics", "tree", "user", "users", "view", "web", "wiki", "www",
];
