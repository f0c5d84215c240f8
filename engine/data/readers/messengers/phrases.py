"""What messengers write themselves among the messages of people, in the languages in which many export.

A phrase that is missing here is learned as if somebody had said it: add it to the list that it belongs to.
"""

import re

from engine.data.records.names.settings import visible

_OMITTED = re.compile(r"<[^<>\n]{3,60}>$")
"""``<Media omitted>`` in any language: a note in angle brackets, with a blank or a letter beyond ASCII in it."""
_MEDIA = re.compile(
    r"(?:image|video|audio|sticker|GIF|document|Contact card|photo|video note|voice message)\s+omitted$"
    r"|(?:Bild|Video|Audio|Sticker|GIF|Dokument|Kontaktkarte|Videonachricht)\s+weggelassen$"
    r"|(?:imagen|Video|audio|sticker|GIF|documento|Tarjeta de contacto)\s+omitid[oa]s?$"
    r"|(?:image|vidéo|audio|sticker|GIF|document|fiche contact)\s+(?:absente?|omise?)$"
    r"|(?:immagine|video|audio|sticker|GIF|documento)\s+omess[oa]$"
    r"|(?:imagem|vídeo|áudio|figurinha|GIF|documento)\s+(?:ocult[oa]|omitid[oa])$"
    r"|(?:afbeelding|video|audio|sticker|GIF|document)\s+weggelaten$"
    r"|<(?:attached|Anhang|adjunto|pièce jointe|allegato|anexado|bijgevoegd|прикреплено|附件)\s?: [^<>\n]+>$"
    r"|(?:изображение|видео|аудиофайл|стикер|GIF|документ)\s+(?:отсутствует|пропущено|опущен)$"
    r"|null$",
    re.IGNORECASE,
)
_DELETED = re.compile(
    r"(?:This message was deleted|You deleted this message|This message was deleted by admin .*"
    r"|Diese Nachricht wurde gelöscht|Du hast diese Nachricht gelöscht"
    r"|Se eliminó este mensaje|Este mensaje fue eliminado|Eliminaste este mensaje"
    r"|Ce message a été supprimé|Vous avez supprimé ce message|Tu as supprimé ce message"
    r"|Questo messaggio è stato eliminato|Hai eliminato questo messaggio"
    r"|Mensagem apagada|Esta mensagem foi apagada|Você apagou esta mensagem|Apagaste esta mensagem"
    r"|Dit bericht is verwijderd|U hebt dit bericht verwijderd|Je hebt dit bericht verwijderd"
    r"|Данное сообщение удалено|Сообщение удалено|Вы удалили данное сообщение"
    r"|Bu mesaj silindi|Bu mesaj\u0131 sildiniz|Ta wiadomość została usunięta|Usunięto tę wiadomość|Wiadomość usunięta"
    r"|此消息已删除|您删除了此消息|此訊息已刪除|您已刪除此訊息|このメッセージは削除されました|삭제된 메시지입니다"
    r"|تم حذف هذه الرسالة|यह मैसेज मिटाया गया|Pesan ini telah dihapus|Anda telah menghapus pesan ini)\.?$"
)
_EDITED = re.compile(
    r"\s*\u200e?<(?:This message was edited|Diese Nachricht wurde bearbeitet\.?|Se editó este mensaje\.?"
    r"|Ce message a été modifié|Questo messaggio è stato modificato|Mensagem editada|Esta mensagem foi editada"
    r"|Dit bericht is bewerkt|Сообщение изменено|Данное сообщение изменено|Bu mesaj düzenlendi"
    r"|Ta wiadomość została edytowana|此消息已编辑|此訊息已編輯|編集済み)>(?=\s*$)"
)
_NOTICE = re.compile(
    r"[\"“”„«»]|\b(?:changed|created|added|removed|left|joined|pinned|hat|habe|wurde|cambió|cambiaste|creó|añadió"
    r"|a modifié|a créé|a ajouté|ha cambiato|ha creato|mudou|criou|adicionou|heeft|изменил|создал|добавил)\b"
)
_MOST_WORDS = 6


def is_media(text: str) -> bool:
    """Whether a message only says that there was a picture, a sound or a file."""
    text = visible(text).strip()
    is_note = _OMITTED.match(text) is not None and (" " in text or not text.isascii())
    return is_note or _MEDIA.match(text) is not None


def is_deleted(text: str) -> bool:
    """Whether a message only says that it was deleted."""
    return _DELETED.match(visible(text).strip()) is not None


def is_notice(name: str) -> bool:
    """Whether what stands before a colon is no name, but the beginning of a notice, such as of a new subject."""
    return len(name.split()) > _MOST_WORDS or _NOTICE.search(name) is not None


def without_edit_mark(text: str) -> str:
    """A message without the note that it was edited."""
    return _EDITED.sub("", text)
