package keys_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fnctl/fnctl/platform/keys"
)

// A shop is what the files of these tests are read into.
type shop struct {
	name   string
	colour colour
	open   bool
	floor  struct {
		size    int64
		shelves int
		wait    time.Duration
	}
	owners  []string
	signs   map[string]string
	command []string
	price   float64
	goods   []good
}

type colour string

type good struct {
	name  string
	count int
}

var goodsTable = &keys.Table[good]{Keys: []keys.Key[good]{
	{Path: "name", Bind: func(g *good) keys.Value { return keys.Bind(&g.name, words) }},
	{Path: "count", Bind: func(g *good) keys.Value { return keys.Bind(&g.count, keys.Integer{Min: 1, Max: 9}) }},
}}

var words = keys.Text[string]{Parse: keys.Checked(checkWord), Pattern: "^[a-z]+$", What: "a word"}

func checkWord(s string) error {
	if s == "" || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") != "" {
		return errors.New("must be a word, got " + keys.Quote(s))
	}
	return nil
}

// goodsList is a kind of its own: a list of mappings.
type goodsList struct{}

func (goodsList) Decode(n keys.Node) (goods []good, ok bool) {
	if !n.IsList() {
		n.MustBe("a list of goods")
		return nil, false
	}
	ok = true
	for _, item := range n.Items() {
		r, valid := goodsTable.ReadItem(item)
		if valid && !r.Has("count") {
			r.Report("count", "required")
			valid = false
		}
		goods, ok = append(goods, r.Values), ok && valid
	}
	return goods, ok
}

func (goodsList) Schema() keys.Schema {
	return keys.Schema{"type": []string{"array"}, "items": goodsTable.ItemSchema()}
}

func (goodsList) Describe() string { return "a list of goods with " + goodsTable.Names() }

var table = &keys.Table[shop]{Keys: []keys.Key[shop]{
	{Path: "name", Default: "corner", Doc: "Its name.", Example: "shop", Bind: func(s *shop) keys.Value { return keys.Bind(&s.name, words) }},
	{Path: "title", Alias: "name", Example: "shop", Bind: func(s *shop) keys.Value { return keys.Bind(&s.name, words) }},
	{Path: "colour", Bind: func(s *shop) keys.Value { return keys.Bind(&s.colour, keys.EnumOf[colour]("red", "green")) }},
	{Path: "open", Default: "true", Bind: func(s *shop) keys.Value { return keys.Bind(&s.open, keys.Boolean{}) }},
	{Path: "floor", Doc: "The room.", Rules: []keys.Schema{keys.Given("size")}},
	{
		Path: "floor.size", Default: "1K", Null: func(s *shop) { s.floor.size = -1 },
		Bind: func(s *shop) keys.Value {
			return keys.Bind(&s.floor.size, keys.Size{Min: 10, Max: 1 << 20, Zero: "none"})
		},
	},
	{Path: "floor.shelves", DefaultText: "as many as fit", Bind: func(s *shop) keys.Value {
		return keys.Bind(&s.floor.shelves, keys.Integer{Min: 0, Max: keys.Unbounded, Quoted: true})
	}},
	{Path: "floor.wait", Bind: func(s *shop) keys.Value {
		return keys.Bind(&s.floor.wait, keys.Seconds[time.Duration]{Min: time.Second, Max: 2 * keys.Day})
	}},
	{Path: "owners", Bind: func(s *shop) keys.Value { return keys.Bind(&s.owners, keys.List[string]{Of: words}) }},
	{Path: "signs", Bind: func(s *shop) keys.Value {
		return keys.Bind(&s.signs, keys.Dictionary{CheckName: checkWord, CheckValue: checkWord, What: "a mapping of signs"})
	}},
	{Path: "command", Bind: func(s *shop) keys.Value { return keys.Bind(&s.command, keys.Command{}) }},
	{Path: "price", Bind: func(s *shop) keys.Value { return keys.Bind(&s.price, keys.Positive{}) }},
	{Path: "goods", Bind: func(s *shop) keys.Value { return keys.Bind(&s.goods, goodsList{}) }},
}, Exclusive: []keys.Pair{{First: "name", Second: "title"}}}

func TestRead(t *testing.T) {
	r := table.Read("shop.yml", []byte(`
title: bakery
colour: green
open: false
floor: {size: 2Ki, shelves: "7", wait: 1m30s}
owners: ann
signs: {welcome: hello}
command: bake --hot
price: 1.5
goods: [{name: bread, count: 3}, {name: cake, count: 1}]
`))
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	want := shop{
		name: "bakery", colour: "green", owners: []string{"ann"}, signs: map[string]string{"welcome": "hello"},
		command: []string{"bake", "--hot"}, price: 1.5, goods: []good{{"bread", 3}, {"cake", 1}},
	}
	want.floor.size, want.floor.shelves, want.floor.wait = 2048, 7, 90*time.Second
	if !reflect.DeepEqual(r.Values, want) {
		t.Errorf("got %+v, want %+v", r.Values, want)
	}
}

func TestDefaultsAndNull(t *testing.T) {
	for file, size := range map[string]int64{"": 1000, "floor:": 1000, "floor: {}": 1000, "floor: {size: null}": -1, "floor: {size: 0}": 0, "name: null": 1000} {
		r := table.Read("shop.yml", []byte(file))
		if err := r.Err(); err != nil || r.Values.floor.size != size || r.Values.name != "corner" || !r.Values.open {
			t.Errorf("%s: got %+v, %v, want the size %d", file, r.Values, err, size)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for file, want := range map[string]string{
		"nam: x":                 "1:1: nam: unknown key, did you mean name?",
		"shelfs: 1":              "1:1: shelfs: unknown key, did you mean floor.shelves?",
		"zzzzzzzz: 1":            "1:1: zzzzzzzz: unknown key, known are name, colour, open, floor, owners, signs, command, price, goods",
		"floor: 1":               "1:1: floor: must be a mapping of keys to values, got 1",
		"colour: gren":           `1:1: colour: must be one of red, green, got "gren", did you mean green?`,
		"floor: {shelves: -1}":   "1:9: floor.shelves: must be an integer of at least 0, got -1",
		"floor: {size: 5M}":      `1:9: floor.size: must be at most 1Mi, got "5M"`,
		"floor: {wait: 3000000}": "1:9: floor.wait: must be seconds, or a duration such as 90s or 2m, from 1s to 2 days, got 3000000",
		"owners: [ann, 'B b']":   `1:15: owners: must be a word, got "B b"`,
		"signs: {welcome: [x]}":  `1:9: signs.welcome: must be a text, a number or a boolean; "" is an empty text`,
		"command: bake > out":    "1:1: command: no shell reads the command, '>' would be taken literally: write a list of words to mean that",
		"price: 0":               "1:1: price: must be a number above 0, got 0",
		"name: a\ntitle: b":      "2:1: title: cannot be used together with name",
		"name: a\nname: b":       "2:1: name: is already set in line 1",
		"goods: [{name: bread}]": "1:9: goods.count: required",
		"goods: [{nam: bread}]":  "1:10: goods.nam: unknown key, did you mean name?",
		"goods: [{name: bread, count: 0}, 1]": "1:23: goods.count: must be an integer from 1 to 9, got 0\n" +
			"shop.yml:1:34: goods: must be a mapping with name, count, got 1",
		"price: 0\nopen: 1": "1:1: price: must be a number above 0, got 0\nshop.yml:2:1: open: must be true or false, got 1",
	} {
		err := table.Read("shop.yml", []byte(file)).Err()
		if want = "shop.yml:" + want; err == nil || err.Error() != want {
			t.Errorf("%s: got\n%v\nwant\n%s", file, err, want)
		}
	}
}

// What a rule between keys asks.
func TestRecord(t *testing.T) {
	r := table.Read("shop.yml", []byte("title: B\nprice: 2\nopen:\nfloor: {shelves: 1}\n"))
	for _, path := range []string{"title", "price", "floor", "floor.shelves"} {
		if !r.Has(path) {
			t.Errorf("%s is written, and is not there", path)
		}
	}
	for _, path := range []string{"name", "open", "floor.size"} {
		if r.Has(path) {
			t.Errorf("%s is not written, and is there", path)
		}
	}
	if r.Valid("name") || r.Valid("price", "name") || !r.Valid("price", "open", "floor.size") {
		t.Error("only name, by its other name title, is invalid")
	}
	r.Report("price", "is %s", "high")
	r.ReportAt("floor.shelves", "floor.size", "is needed")
	r.Report("open", "is not known")
	want := `shop.yml:1:1: title: must be a word, got "B"` + "\n" +
		"shop.yml:1:1: open: is not known\nshop.yml:2:1: price: is high\nshop.yml:4:9: floor.size: is needed"
	if got := r.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSchema(t *testing.T) {
	var got struct {
		Title      string
		Properties map[string]struct {
			Description string
			Default     any
			AllOf       []any
			Properties  map[string]any
		}
		AllOf []any
	}
	if err := json.Unmarshal(table.Schema("shop.yml", "A shop."), &got); err != nil {
		t.Fatal(err)
	}
	floor := got.Properties["floor"]
	if got.Title != "shop.yml" || len(got.AllOf) != 1 || len(got.Properties) != 10 || len(floor.Properties) != 3 || len(floor.AllOf) != 1 {
		t.Errorf("got %+v", got)
	}
	if title := got.Properties["title"]; title.Description != "Another name of name." || got.Properties["open"].Default != true {
		t.Errorf("got %+v", got.Properties)
	}
}

func TestManual(t *testing.T) {
	manual := table.Manual()
	for i, want := range map[int]keys.Manual{
		0: {Path: "name", Value: "a word", Default: "`corner`", Meaning: "Its name.", Example: "name: shop"},
		1: {Path: "title", Value: "a word", Meaning: "Another name of `name`.", Example: "title: shop"},
		4: {Path: "floor", Meaning: "The room."},
		6: {Path: "floor.shelves", Value: "an integer of at least 0", Default: "as many as fit", Example: "shelves: "},
	} {
		if manual[i] != want {
			t.Errorf("got %+v, want %+v", manual[i], want)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", 90 * time.Second: "90s", 1500 * time.Millisecond: "1.5s", 48 * time.Hour: "172800s"} {
		if got := keys.FormatDuration(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
