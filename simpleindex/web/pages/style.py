"""What the HTML pages look like and do for a person: one style sheet, two short scripts, and the policy that pins them.

Nothing is loaded from anywhere. Neither text contains a ``<``: not every client's parser knows that ``style`` and ``script``
are not markup.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--dim:#636b74;--line:#e3e6ea;--soft:#f4f6f8;--link:#0a58b5;\
--good:#1a6634;--good-back:#e9f6ed;--warn:#8a5300;--warn-back:#fff6e0;--bad:#a61b1b;--bad-back:#fdeeee}
@media(prefers-color-scheme:dark){:root{--back:#121417;--text:#e5e8eb;--dim:#98a1ab;--line:#2a2f35;--soft:#1b1f23;\
--link:#82b7ff;--good:#8fd6a5;--good-back:#14261b;--warn:#f0bd66;--warn-back:#2b2313;--bad:#ff9d94;--bad-back:#321a1a}}
*{box-sizing:border-box;margin:0}
[hidden]{display:none!important}
body{max-width:72rem;margin:auto;padding:2rem 1.25rem 4rem;background:var(--back);color:var(--text);\
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.75rem;line-height:1.25;font-weight:650;letter-spacing:-.01em}
h2{font-size:1rem;font-weight:650}
li a{font-size:.9375rem}
p,pre,span,button{color:var(--dim);font-size:.875rem}
pre{display:flex;gap:1rem;margin:1.25rem 0;padding:.25rem .25rem .25rem .875rem;border-radius:.5rem;\
background:var(--soft);line-height:2rem}
code{flex:1;overflow-x:auto;white-space:nowrap;color:var(--text);font:.8125rem/2rem ui-monospace,monospace;user-select:all}
button{border:0;padding:0 .625rem;border-radius:.375rem;background:none;font:inherit;font-size:.8125rem;cursor:pointer}
button:hover{color:var(--link);background:var(--back)}
#up{padding:0;margin-bottom:.5rem}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
a[data-yanked]{color:var(--dim);text-decoration:line-through}
b{font-weight:650}
.status{margin:1.25rem 0;padding:.625rem .875rem;border-radius:.5rem;color:var(--warn);background:var(--warn-back)}
.good{color:var(--good);background:var(--good-back)}
.ways a{margin-right:1.25rem}
.note{margin:.5rem 0}
.note:has(+:not(.note)){margin-bottom:1rem}
.quarantined{color:var(--bad);background:var(--bad-back)}
.yanked{color:var(--warn)}
section{display:grid;grid-template-columns:11rem 1fr;gap:.25rem 2rem;padding:.875rem 0;border-top:1px solid var(--line)}
ul{list-style:none;padding:0}
li{display:grid;grid-template-columns:1fr 5rem 6rem;align-items:baseline;gap:0 1rem;padding-bottom:.25rem}
li span{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
li p{grid-column:1/-1}
input{position:sticky;top:.75rem;width:100%;margin-bottom:.75rem;padding:.625rem .875rem;border:1px solid var(--line);\
border-radius:.5rem;background:var(--back);color:inherit;font:inherit}
:focus-visible{outline:2px solid var(--link);outline-offset:1px}
nav{display:grid;grid-template-columns:repeat(auto-fill,minmax(14rem,1fr));gap:0 1.5rem}
nav a{padding:.3125rem 0}
.aside{content-visibility:hidden;height:0;overflow:hidden}
@media(max-width:40rem){body{padding-top:1.25rem}h1{font-size:1.5rem}section{grid-template-columns:1fr}\
code{white-space:pre-wrap;line-height:1.5;padding:.25rem 0}
li{grid-template-columns:auto 1fr;padding:.375rem 0}li a{grid-column:1/-1}li span{text-align:left}\
nav{grid-template-columns:repeat(auto-fill,minmax(9rem,1fr))}}
"""

# Elements become links here and not in the page, whose anchors tools take for projects and files. The index is at "/" and
# at "/simple/" alike; people are shown the second everywhere.
_COMMON: Final = r"""
const get=id=>document.getElementById(id)
const show=(command,index)=>{
command.textContent=command.textContent.replace("install",()=>"install --index-url "+index.replace(/(simple\/)?$/,"simple/"))
}
for(const e of document.querySelectorAll("[data-href]")){
const a=document.createElement("a")
a.href=e.dataset.href
a.textContent=e.textContent
e.replaceWith(a)
}
"""

# To restyle 10,000 links at every key takes a browser 300 ms. So the whole list is put aside with its layout kept, and copies
# of the first matches, those that begin with the text leading, stand in its place: 5 to 25 ms (headless Chromium 156, 2 cores).
# toLocaleString would cost another 30 ms, the first time.
ROOT_SCRIPT: Final = (
    _COMMON
    + r"""
const filter=get("filter"),count=get("count"),all=get("all"),some=get("some")
const total=count?.textContent,links=[...document.querySelectorAll("#all a")],names=links.map(a=>a.textContent),limit=200
const run=()=>{
const text=filter.value.trim().toLowerCase().replace(/[-_.\s]+/g,"-")
const found=text?[...links.filter((a,i)=>names[i].startsWith(text)),...links.filter((a,i)=>names[i].indexOf(text)>0)]:[]
some.replaceChildren(...found.slice(0,limit).map(a=>a.cloneNode(true)))
all.classList.toggle("aside",text)
count.textContent=text?`${String(found.length).replace(/\B(?=(...)+$)/g,",")} of ${total}${found.length>limit?`, first ${limit} shown`:""}`:total
}
if(filter){
filter.hidden=false
filter.oninput=run
filter.onkeydown=e=>{if(e.key==="Enter")some.firstChild?.click()}
run()
}
const install=get("install")
show(install,location.origin+location.pathname)
get("command").hidden=false
"""
)

PROJECT_SCRIPT: Final = (
    _COMMON
    + r"""
const up=get("up"),install=get("install"),copy=get("copy")
up.hidden=false
up.onclick=()=>location="../"
if(install){
show(install,String(new URL("..",location.origin+location.pathname)))
copy.hidden=!navigator.clipboard
copy.onclick=()=>navigator.clipboard.writeText(install.textContent).then(()=>copy.textContent="Copied")
}
"""
)


def _source(text: str) -> str:
    """How CSP level 2 names an inline text: by the digest of what stands between its tags."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


content_security_policy: Final = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_source(STYLE)}",
        f"script-src {_source(ROOT_SCRIPT)} {_source(PROJECT_SCRIPT)}",
        # The empty icon, without which a browser asks for /favicon.ico.
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""The Content-Security-Policy of every HTML page here."""
