//  dom - elements, made without markup
//
//  Whatever came from outside becomes text, and never anything else.
//
//  SPDX-License-Identifier: BSD-3-Clause

//  Makes an element. An attribute that begins with "on" is a listener; one that is
//  null or false is left out. Children are elements or texts; null is none.
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
    self.append (...children.flat ().filter ((child) => child !== null));
    return self;
}

//  Puts these children in the place of those that are there.
export function fill (parent, ...children) {
    parent.replaceChildren (...children.flat ().filter ((child) => child !== null));
    return parent;
}

//  Makes it the text of an element, which costs nothing if it is that already.
export function say (element, text) {
    if (element.textContent !== text)
        element.textContent = text;
}

export const find = (selector) => document.querySelector (selector);

//  A text with a button that copies it. The clipboard is not there without TLS: then the
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

//  Says in a group which button is pressed.
export function choose (group, value) {
    for (const button of group.children)
        button.setAttribute ("aria-pressed",
                             String (button.dataset.value === String (value)));
}

//  A menu for one of some values.
export function select (label, choices, value, onchoose) {
    const self = el ("select", {"aria-label": label, title: label,
                                onchange: () => onchoose (self.value)},
                     choices.map (([key, text]) =>
                         el ("option", {value: key, selected: key === value}, text)));
    return self;
}
