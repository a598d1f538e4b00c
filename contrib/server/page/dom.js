//  dom - elements, made without markup
//
//  What came from outside is added as text, never as markup.
//
//  SPDX-License-Identifier: BSD-3-Clause

export const find = (selector) => document.querySelector (selector);

const isThere = (child) => child !== null;

//  Makes an element. An attribute that begins with "on" is a listener; one that is
//  null or false is left out. Children are elements, texts, or lists of them; null is
//  left out.
export function el (tag, attributes = {}, ...children) {
    const self = document.createElement (tag);
    for (const [name, value] of Object.entries (attributes)) {
        if (value === null || value === undefined || value === false)
            continue;
        if (name.startsWith ("on"))
            self.addEventListener (name.slice (2), value);
        else
            self.setAttribute (name, value === true ? "" : value);
    }
    self.append (...children.flat ().filter (isThere));
    return self;
}

//  Gives an element these children in place of those it has.
export function fill (parent, ...children) {
    parent.replaceChildren (...children.flat ().filter (isThere));
}

//  Sets a text that often is the same: then the browser has nothing to do.
export function setText (element, text) {
    if (element.textContent !== text)
        element.textContent = text;
}

//  A text with a button that copies it. Without TLS a page has no clipboard: then the
//  text is selected, and copied as by hand.
export function copyable (text) {
    const shown = el ("pre", {}, text);
    const button = el ("button", {type: "button", class: "copy", onclick: async () => {
        window.getSelection ().selectAllChildren (shown);
        const done = await navigator.clipboard?.writeText (text).then (() => true, () => false)
            || document.execCommand ("copy");
        button.textContent = done ? "copied" : "press Ctrl+C";
    }}, "copy");
    return el ("div", {class: "command"}, shown, button);
}

//  A group of buttons of which one is pressed. Choices are [value, text, hint].
export function choice (label, choices, value, onchoose) {
    return el ("div", {class: "choice", role: "group", "aria-label": label},
               choices.map (([key, text, hint]) =>
                   el ("button", {type: "button", title: hint, "data-value": key,
                                  "aria-pressed": String (key === value),
                                  onclick: () => onchoose (key)}, text)));
}

//  Presses another button of such a group.
export function setChoice (group, value) {
    for (const button of group.children)
        button.setAttribute ("aria-pressed",
                             String (button.dataset.value === String (value)));
}

//  A menu of which one value is chosen. Choices are [value, text].
export function select (label, choices, value, onchoose) {
    const self = el ("select", {"aria-label": label, title: label,
                                onchange: () => onchoose (self.value)},
                     choices.map (([key, text]) =>
                         el ("option", {value: key, selected: key === value}, text)));
    return self;
}
