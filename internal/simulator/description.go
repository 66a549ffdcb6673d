package simulator

import (
	"throughline/internal/specfile"
)

// Description is what a simulator.yaml says about one far side.
type Description struct {
	Simulator   string                         `spec:"simulator,required" doc:"name, the same as the connector's folder"`
	Title       string                         `spec:"title"`
	Source      []string                       `spec:"source,one" doc:"where the facts come from, and when they were read"`
	Instants    string                         `spec:"instants" default:"2006-01-02T15:04:05.000Z07:00" doc:"how moments are written, as a Go layout"`
	Values      string                         `spec:"values" enum:"plain|text|wrapped" default:"plain" doc:"plain JSON; every value a text; or every value inside {value: …}"`
	Lag         specfile.Duration              `spec:"lag" doc:"how long a search stays behind a write"`
	Accounts    specfile.Map[specfile.Value]   `spec:"accounts" doc:"accounts that exist from the start, with their secrets"`
	Auth        AuthSpec                       `spec:"auth"`
	Limits      []LimitSpec                    `spec:"limits"`
	Errors      specfile.Map[AnswerSpec]       `spec:"errors" doc:"how each kind of refusal is answered"`
	Messages    specfile.Map[specfile.Value]   `spec:"messages" doc:"how each fault of a field is worded"`
	Page        *PageSpec                      `spec:"page" doc:"pages of every list, unless its route says otherwise"`
	Collections specfile.Map[CollectionSpec]   `spec:"collections,required"`
	Shapes      specfile.Map[specfile.Value]   `spec:"shapes" doc:"what a row looks like from outside"`
	Only        []ConditionSpec                `spec:"only" doc:"what must hold for every call that needs a sign-in"`
	Routes      []RouteSpec                    `spec:"routes,required"`
	Webhooks    *WebhookSpec                   `spec:"webhooks"`
	Seed        specfile.Map[[]specfile.Value] `spec:"seed" doc:"rows that every account starts with, by collection"`
}

// AuthSpec says how a caller proves which account it may use. Several ways may stand side by side.
type AuthSpec struct {
	Keys    []KeySpec    `spec:"keys" doc:"a header that carries a secret"`
	Session *SessionSpec `spec:"session"`
	Token   *TokenSpec   `spec:"token"`
}

// KeySpec is a secret in a header.
type KeySpec struct {
	Header string `spec:"header,required"`
	Prefix string `spec:"prefix"`
	Secret string `spec:"secret,required" doc:"name of the account's secret"`
}

// SessionSpec is a login that gives cookies.
type SessionSpec struct {
	Cookies []string          `spec:"cookies,required" doc:"the first one identifies the session"`
	Secrets []string          `spec:"secrets,required" doc:"the account's secrets that a login must name"`
	Maybe   []string          `spec:"maybe" doc:"secrets that a login may leave out"`
	Idle    specfile.Duration `spec:"idle" default:"20m"`
	Max     int               `spec:"max" doc:"sessions at a time; 0 = any number"`
}

// TokenSpec is an OAuth 2 token endpoint; its address is a route that does token.
type TokenSpec struct {
	Grants  []string          `spec:"grants,required"`
	Expires specfile.Duration `spec:"expires" default:"1h"`
	Refresh specfile.Duration `spec:"refresh" default:"30 days" doc:"how long a refresh token lives"`
	Rotate  bool              `spec:"rotate" doc:"each refresh gives a new refresh token and ends the old one"`
	Reuse   string            `spec:"reuse" enum:"refuse|revoke" default:"refuse" doc:"revoke: an old refresh token that comes again ends the whole family"`
	Code    string            `spec:"code" default:"code" doc:"the account's secret that stands for a person's consent"`
}

// LimitSpec is a number of calls per time, per account.
type LimitSpec struct {
	Name    string                       `spec:"name,required"`
	Rate    specfile.Rate                `spec:"rate,required"`
	Class   string                       `spec:"class" doc:"only routes of this class; without it, only routes without one"`
	Every   bool                         `spec:"every" doc:"all routes, whatever their class"`
	Slow    bool                         `spec:"slow" doc:"do not refuse: from half of the quota on, delay"`
	Headers specfile.Map[specfile.Value] `spec:"headers" doc:"headers that tell of the limit, on every answer"`
}

// AnswerSpec is a status, headers and a body.
type AnswerSpec struct {
	Status  int                          `spec:"status" min:"100" max:"599"`
	Headers specfile.Map[specfile.Value] `spec:"headers"`
	Body    specfile.Value               `spec:"body"`
	Type    string                       `spec:"type" default:"application/json" doc:"content type"`
}

// CollectionSpec is one kind of thing that the far side keeps.
type CollectionSpec struct {
	ID      IDSpec                  `spec:"id"`
	Fields  specfile.Map[FieldSpec] `spec:"fields,required"`
	Unknown string                  `spec:"unknown" enum:"ignore|keep|refuse" default:"ignore" doc:"what happens to fields that are not listed"`
	Keys    []string                `spec:"keys" doc:"fields by which an upsert finds its row"`
	Unique  []UniqueSpec            `spec:"unique"`
	Created string                  `spec:"created" doc:"field that holds the moment of creation"`
	Updated string                  `spec:"updated" doc:"field that holds the moment of the last change"`
	Version string                  `spec:"version" doc:"field that counts changes"`
	Key     string                  `spec:"key" doc:"field that is the business key in the effect ledger"`
	Marker  string                  `spec:"marker" doc:"field that is the marker in the effect ledger"`
	Silent  bool                    `spec:"silent" doc:"no line in the effect ledger"`
	Order   []string                `spec:"order,one" doc:"fields that lists are sorted by; a leading - turns the order round; without it, the order of creation"`
	State   string                  `spec:"state" doc:"field that moves change"`
	Moves   specfile.Map[MoveSpec]  `spec:"moves" doc:"actions that change the state"`
	Rules   []RuleSpec              `spec:"rules" doc:"what else must hold, or happens, on a write"`
	Then    []ThenSpec              `spec:"then" doc:"what a write does to other collections"`
	Shape   string                  `spec:"shape" doc:"shape of an answer with this row, unless a route says otherwise"`
}

// IDSpec says how the far side numbers its rows.
type IDSpec struct {
	Field string `spec:"field" default:"id"`
	Kind  string `spec:"kind" enum:"hex24|uuid|digits|count|given" default:"hex24"`
	Start int64  `spec:"start" default:"1"`
}

// FieldSpec is one field of a collection.
type FieldSpec struct {
	Type     string                  `spec:"type" enum:"text|number|integer|bool|instant|date|object|list|linked|details" default:"text"`
	Required bool                    `spec:"required"`
	Min      int                     `spec:"min" doc:"shortest text"`
	Max      int                     `spec:"max" doc:"longest text"`
	Unit     string                  `spec:"unit" enum:"utf16|bytes|characters" default:"utf16" doc:"what the length is counted in"`
	Enum     []string                `spec:"enum"`
	Pattern  string                  `spec:"pattern"`
	ReadOnly string                  `spec:"read_only" enum:"no|ignore|refuse" default:"no" doc:"what happens to a value from outside"`
	Fixed    bool                    `spec:"fixed" doc:"can only be set on create"`
	Default  specfile.Value          `spec:"default"`
	Auto     string                  `spec:"auto" doc:"numbered by itself when nothing is given: a format such as PR%06d"`
	Start    int64                   `spec:"start" default:"1" doc:"first number of auto"`
	To       string                  `spec:"to" doc:"collection in which the value must exist"`
	By       string                  `spec:"by" doc:"field of that collection; its id if not said"`
	Index    bool                    `spec:"index" doc:"looked up often"`
	Trim     bool                    `spec:"trim" doc:"blanks at both ends are dropped"`
	Fields   specfile.Map[FieldSpec] `spec:"fields" doc:"fields of a linked object or of each detail row"`
	Keys     []string                `spec:"keys" doc:"fields by which a detail row is found"`
}

// UniqueSpec is a set of fields that no two rows share.
type UniqueSpec struct {
	By      []string       `spec:"by,required,one"`
	Fold    bool           `spec:"fold" doc:"upper and lower case are the same"`
	Blank   bool           `spec:"blank" doc:"empty values count as well"`
	Message specfile.Value `spec:"message"`
	Error   string         `spec:"error" default:"exists" doc:"name of the refusal under errors"`
}

// MoveSpec is an action that changes the state.
type MoveSpec struct {
	From []string                     `spec:"from,one" doc:"states in which it is allowed; empty = any"`
	To   string                       `spec:"to"`
	Set  specfile.Map[specfile.Value] `spec:"set"`
	Only []ConditionSpec              `spec:"only" doc:"what must hold"`
}

// ConditionSpec is something that must hold, and how its absence is refused.
type ConditionSpec struct {
	When    specfile.Expr  `spec:"when,required"`
	Error   string         `spec:"error" default:"blocked" doc:"name of the refusal under errors"`
	Code    string         `spec:"code"`
	Field   string         `spec:"field"`
	Message specfile.Value `spec:"message"`
}

// RuleSpec refuses a write, or changes it, when its condition is true.
type RuleSpec struct {
	On     []string                     `spec:"on,one" doc:"create, update, delete; empty = create and update"`
	When   specfile.Expr                `spec:"when,required"`
	Refuse specfile.Value               `spec:"refuse" doc:"the message"`
	Error  string                       `spec:"error" default:"invalid"`
	Code   string                       `spec:"code" default:"refused"`
	Field  string                       `spec:"field"`
	Set    specfile.Map[specfile.Value] `spec:"set"`
}

// ThenSpec is what a write does to another collection.
type ThenSpec struct {
	On     []string                     `spec:"on,one" doc:"create, update, delete; empty = create"`
	When   specfile.Expr                `spec:"when"`
	Each   specfile.Expr                `spec:"each" doc:"once for each item of this list"`
	Insert string                       `spec:"insert" doc:"collection that gets a row"`
	Change string                       `spec:"change" doc:"collection whose rows change"`
	Remove string                       `spec:"remove" doc:"collection whose rows go"`
	Where  specfile.Map[specfile.Value] `spec:"where" doc:"which rows: field by field"`
	Take   specfile.Value               `spec:"take" doc:"fields of the new row"`
	Set    specfile.Map[specfile.Value] `spec:"set"`
	Unless specfile.Map[specfile.Value] `spec:"unless" doc:"insert nothing when such a row exists"`
}

// RouteSpec is one address and what it does.
type RouteSpec struct {
	Get    string `spec:"get"`
	Post   string `spec:"post"`
	Put    string `spec:"put"`
	Patch  string `spec:"patch"`
	Delete string `spec:"delete"`

	For     specfile.Map[string]         `spec:"for" doc:"the same for several collections: the piece of the address that {object} stands for, and the collection"`
	With    specfile.Map[specfile.Value] `spec:"with" doc:"values with a name, for all expressions of the route: with.name"`
	Do      string                       `spec:"do" enum:"read|list|create|update|upsert|delete|move|batch|answer|login|logout|token|job" default:"answer"`
	Of      string                       `spec:"of" doc:"collection"`
	Public  bool                         `spec:"public" doc:"needs no sign-in"`
	Class   string                       `spec:"class" doc:"class of limits"`
	Scope   specfile.Map[specfile.Value] `spec:"scope" doc:"fields that rows here have: a list finds only those, a create sets them"`
	Find    []FindSpec                   `spec:"find,one" doc:"how one row is found; the first way that finds wins; default: by id"`
	Take    specfile.Value               `spec:"take" doc:"the fields that a write takes; default: the body"`
	Set     specfile.Map[specfile.Value] `spec:"set" doc:"fields that a write sets besides"`
	Only    []ConditionSpec              `spec:"only" doc:"what must hold before anything is done"`
	Filter  *FilterSpec                  `spec:"filter"`
	Page    *PageSpec                    `spec:"page"`
	Sort    *SortSpec                    `spec:"sort"`
	Lagging bool                         `spec:"lagging" doc:"sees rows only when the search index has caught up"`
	Move    specfile.Value               `spec:"move" doc:"name of the move"`
	Later   *LaterSpec                   `spec:"later" doc:"the move ends after the answer"`
	Batch   *BatchSpec                   `spec:"batch"`
	Match   bool                         `spec:"conditional" doc:"If-Match: * and If-None-Match: * are obeyed"`
	Lock    specfile.Expr                `spec:"lock" doc:"the version that the caller knows"`
	Name    string                       `spec:"name" doc:"name of the effect; default: the verb"`
	Shape   string                       `spec:"shape"`
	Answer  *AnswerSpec                  `spec:"answer"`
	Pos     specfile.Pos
}

// FindSpec finds a row by fields.
type FindSpec struct {
	When  specfile.Expr                `spec:"when"`
	By    specfile.Map[specfile.Value] `spec:"by"`
	Field specfile.Value               `spec:"field" doc:"the caller names the field; it must be one that no two rows share"`
	Is    specfile.Value               `spec:"is" doc:"and this is its value"`
	Keys  specfile.Value               `spec:"keys" doc:"the id, or the values of the collection's keys in their order"`
	From  specfile.Value               `spec:"from" doc:"an object that holds the id or the collection's keys"`
	OData specfile.Value               `spec:"odata" doc:"an OData filter text; the first row that matches"`
}

// FilterSpec says how a list can be narrowed down. One of the three languages may stand beside
// plain parameters.
type FilterSpec struct {
	Query  specfile.Map[ParamSpec] `spec:"query" doc:"parameters of the address"`
	OData  specfile.Expr           `spec:"odata" doc:"an OData filter text"`
	Strict bool                    `spec:"strict" doc:"unknown fields, and texts beside numbers, are refused"`
	Groups *GroupsSpec             `spec:"groups" doc:"a list of groups of conditions: any group, all of its conditions"`
}

// ParamSpec is one parameter that filters.
type ParamSpec struct {
	Field string         `spec:"field,required"`
	Op    specfile.Value `spec:"op" doc:"eq, ne, gt, ge, lt, le, contains, starts, ends, in; default eq"`
	Fold  bool           `spec:"fold"`
	Split string         `spec:"split" doc:"the value is a list with this between its items"`
	Skip  []string       `spec:"skip" doc:"values that mean everything"`
	Value specfile.Value `spec:"value" doc:"what the field is compared with; default: the parameter"`
}

// GroupsSpec names the parts of a list of groups of conditions.
type GroupsSpec struct {
	From      specfile.Expr        `spec:"from,required"`
	Filters   string               `spec:"filters" default:"filters"`
	Field     string               `spec:"field" default:"propertyName"`
	Operator  string               `spec:"operator" default:"operator"`
	Value     string               `spec:"value" default:"value"`
	Values    string               `spec:"values" default:"values"`
	High      string               `spec:"high" default:"highValue"`
	Operators specfile.Map[string] `spec:"operators,required" doc:"the vendor's word: ours"`
	MaxGroups int                  `spec:"max_groups"`
	MaxEach   int                  `spec:"max_each"`
	MaxTotal  int                  `spec:"max_total"`
	Under     string               `spec:"under" doc:"fields that are not columns live under this path"`
	Fold      bool                 `spec:"fold"`
}

// PageSpec says how a list is cut into pages.
type PageSpec struct {
	Style   string                       `spec:"style,required" enum:"page|offset|after" doc:"page number, offset, or after a cursor"`
	At      specfile.Value               `spec:"at" doc:"the page, offset or cursor that is asked for"`
	Size    specfile.Value               `spec:"size"`
	Default int                          `spec:"default" default:"50"`
	Max     int                          `spec:"max"`
	Over    string                       `spec:"over" enum:"clamp|refuse" default:"clamp" doc:"what happens to a size above max"`
	First   int                          `spec:"first" default:"1" doc:"number of the first page"`
	Cursor  string                       `spec:"cursor" enum:"id|offset" default:"id" doc:"what a cursor holds"`
	Headers specfile.Map[specfile.Value] `spec:"headers" doc:"headers that every page carries"`
	Window  int                          `spec:"window" doc:"rows past this one cannot be reached"`
}

// SortSpec says how the caller chooses an order.
type SortSpec struct {
	By      specfile.Value       `spec:"by" doc:"a field, a list of fields (with a leading - downwards), or a list of objects"`
	Field   string               `spec:"field" default:"field" doc:"in an object: the key that names the field"`
	Way     string               `spec:"direction" default:"direction" doc:"and the key that names the direction"`
	Down    string               `spec:"down" default:"DESCENDING"`
	Fields  specfile.Map[string] `spec:"fields" doc:"the vendor's word: field"`
	Descend specfile.Expr        `spec:"descend"`
}

// LaterSpec is a move that is carried out in the background.
type LaterSpec struct {
	After    specfile.Duration `spec:"after,required"`
	When     specfile.Expr     `spec:"when"`
	Location specfile.Value    `spec:"location,required" doc:"where to ask; variable job"`
}

// BatchSpec is a list of writes or reads in one call.
type BatchSpec struct {
	Each   string         `spec:"each,required" enum:"read|create|update|upsert|delete"`
	Items  specfile.Expr  `spec:"items,required"`
	Max    int            `spec:"max" default:"100"`
	Find   []FindSpec     `spec:"find,one"`
	Take   specfile.Value `spec:"take"`
	Atomic bool           `spec:"atomic" doc:"one bad item and nothing happens"`
	Twins  bool           `spec:"twins" doc:"the same row twice in one batch is refused"`
	Some   *AnswerSpec    `spec:"some" doc:"the answer when some items failed; otherwise the route's answer"`
	Error  specfile.Value `spec:"error" doc:"what stands for a failed item"`
	Shape  string         `spec:"shape"`
}

// WebhookSpec says what the far side tells others, and how.
type WebhookSpec struct {
	Hooks   string                       `spec:"hooks,required" doc:"collection that holds the subscriptions"`
	URL     string                       `spec:"url" default:"url" doc:"field that holds the target"`
	When    specfile.Expr                `spec:"when" doc:"whether a hook wants an event"`
	Delay   specfile.Duration            `spec:"delay" default:"1s" doc:"how long events are gathered"`
	Batch   int                          `spec:"batch" default:"1" doc:"events per delivery; 1 = the event is the body, more = the body is a list"`
	Shuffle bool                         `spec:"shuffle" doc:"events arrive in any order"`
	Headers specfile.Map[specfile.Value] `spec:"headers"`
	Retry   []specfile.Duration          `spec:"retry" doc:"waits before each further try"`
	Events  []EventSpec                  `spec:"events,required"`
}

// EventSpec is one kind of event.
type EventSpec struct {
	On   []string       `spec:"on,required,one" doc:"create, update, delete, or a move"`
	Of   string         `spec:"of,required" doc:"collection"`
	When specfile.Expr  `spec:"when"`
	Each string         `spec:"each" enum:"row|changed" default:"row" doc:"one event for the row, or one for each changed field"`
	Type specfile.Value `spec:"type" doc:"what kind of event it is, for the hooks to choose"`
	Body specfile.Value `spec:"body"`
}
