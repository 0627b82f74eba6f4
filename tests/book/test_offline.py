from types import SimpleNamespace

import offline


def test_mathjax_is_in_the_pinned_wheel():
    for part in offline.MATHJAX_PARTS:
        assert (offline.mathjax_folder() / part).exists(), part


def test_thebe_is_recognised_by_name_and_by_its_address_and_nothing_else_is():
    by_name = SimpleNamespace(filename="_static/sphinx-thebe.js", attributes={})
    by_address = SimpleNamespace(filename=None, attributes={"body": "const THEBE_JS_URL = ''"})
    other = SimpleNamespace(filename="_static/design-tabs.js", attributes={})
    context = {"script_files": [by_name, other, by_address], "css_files": ["_static/book.css"]}
    offline.drop_thebe(None, "index", "page.html", context, None)
    assert context == {"script_files": [other], "css_files": ["_static/book.css"]}


def test_vega_is_put_only_on_pages_with_a_live_chart():
    added = []
    app = SimpleNamespace(add_js_file=lambda name, **_: added.append(name))
    offline.add_vega(app, "a", "page.html", {"body": "<p>plain</p>"}, None)
    assert added == []
    offline.add_vega(app, "b", "page.html", {"body": '<div class="live-chart"></div>'}, None)
    assert added == ["vendor/vega.js", "vendor/live-chart.js"]
