;;; risk-lsp-test.el --- The server in Emacs 30, the client that counts in utf-32  -*- lexical-binding: t; -*-

;;; Code:

(require 'ert)
(require 'flymake)
(require 'risk-lsp)

(setq risk-lsp-command (list (getenv "RISK_LSP") "serve")
      risk-lsp-settings '(:threshold 0 :maxDiagnostics 1000 :debounce 0.05)
      eglot-sync-connect 120
      eglot-connect-timeout 300
      eglot-send-changes-idle-time 0.05
      eglot-autoshutdown nil
      make-backup-files nil)
(risk-lsp-setup)

(defconst risk-lsp-test--patience 300 "Seconds: loading the model takes a while on a busy machine.")

(defun risk-lsp-test--wait (what condition)
  "Wait until CONDITION returns non-nil, and return that; fail with WHAT."
  (let ((end (+ (float-time) risk-lsp-test--patience)) value)
    (while (and (not (setq value (funcall condition))) (< (float-time) end))
      (accept-process-output nil 0.05))
    (or value (ert-fail (list "waited in vain for" what)))))

(defvar risk-lsp-test--count 0)

(defmacro risk-lsp-test--in-file (contents coding &rest body)
  "Run BODY in a new file with CONTENTS, encoded with CODING, that the server works on."
  (declare (indent 2))
  `(let ((path (expand-file-name (format "file%d.py" (cl-incf risk-lsp-test--count)) (getenv "TEST_FOLDER"))))
     (let ((coding-system-for-write ,coding))
       (write-region ,contents nil path nil 'silent))
     (find-file path)
     (risk-lsp-test--connect)
     ,@body))

(defun risk-lsp-test--connect ()
  "Connect eglot to the current buffer."
  (unless (eglot-managed-p)
    (apply #'eglot (eglot--guess-contact)))
  ;; Without a screen nothing would start it.
  (flymake-mode 1)
  (flymake-start))

(defun risk-lsp-test--send-changes ()
  "Tell the server of edits, as an idle timer does where there is a screen."
  (eglot--signal-textDocument/didChange))

(defun risk-lsp-test--diagnostics ()
  "The current buffer's diagnostics, in its order."
  (sort (flymake-diagnostics) (lambda (a b) (< (flymake-diagnostic-beg a) (flymake-diagnostic-beg b)))))

(defun risk-lsp-test--covered ()
  "The texts that diagnostics cover."
  (mapcar (lambda (found)
            (buffer-substring-no-properties (min (flymake-diagnostic-beg found) (point-max))
                                            (min (flymake-diagnostic-end found) (point-max))))
          (risk-lsp-test--diagnostics)))

(defun risk-lsp-test--wait-for-covered (texts)
  "Wait until diagnostics cover exactly TEXTS."
  (let ((end (+ (float-time) risk-lsp-test--patience)))
    (while (and (not (equal (risk-lsp-test--covered) texts)) (< (float-time) end))
      (accept-process-output nil 0.05))
    (should (equal (risk-lsp-test--covered) texts))))

(defconst risk-lsp-test--strange
  '("greeting = \"🙂🙂\"  # two emoji"
    "漢字 = \"値段は五円\""
    "cafe\u0301 = \"e\u0301e\u0301\""
    "\fdef total(items):"
    "    family = \"👩‍👩‍👧\" + 漢字 * 2"
    "\tvalue = \"a\fb\" + \"\u2028\"   "
    ""
    "\u3000odd = 1"))

(defconst risk-lsp-test--stripped
  '("greeting = \"🙂🙂\"  # two emoji"
    "漢字 = \"値段は五円\""
    "cafe\u0301 = \"e\u0301e\u0301\""
    "def total(items):"
    "family = \"👩‍👩‍👧\" + 漢字 * 2"
    "value = \"a\fb\" + \"\u2028\""
    "odd = 1"))

(ert-deftest risk-lsp-01-positions-are-counted-in-code-points ()
  (risk-lsp-test--in-file "a = 1\n" 'utf-8-unix
    (should (equal (plist-get (eglot--capabilities (eglot-current-server)) :positionEncoding) "utf-32"))))

(ert-deftest risk-lsp-02-diagnostics-cover-exactly-the-text-of-their-lines ()
  (risk-lsp-test--in-file (concat (string-join risk-lsp-test--strange "\n") "\n") 'utf-8-unix
    (risk-lsp-test--wait-for-covered risk-lsp-test--stripped)
    (should (string-match-p "[0-9]\\(% likely to need an edit\\|[a-z]+ of [0-9]+ lines? to read\\)"
                            (flymake-diagnostic-text (car (risk-lsp-test--diagnostics)))))
    (should (eq 'eglot-note (flymake-diagnostic-type (car (risk-lsp-test--diagnostics)))))))

(ert-deftest risk-lsp-03-diagnostics-cover-exactly-the-text-of-their-lines-in-crlf-files ()
  (risk-lsp-test--in-file (concat (string-join risk-lsp-test--strange "\n") "\n") 'utf-8-dos
    (should (eq 1 (coding-system-eol-type buffer-file-coding-system)))
    (risk-lsp-test--wait-for-covered risk-lsp-test--stripped)))

(ert-deftest risk-lsp-04-after-an-edit-diagnostics-are-those-of-the-new-text ()
  (risk-lsp-test--in-file "a = 1\nb = \"🙂\"\nc = 3\n" 'utf-8-unix
    (risk-lsp-test--wait-for-covered '("a = 1" "b = \"🙂\"" "c = 3"))
    (goto-char (point-min))
    (search-forward "🙂")
    (insert "漢𝔘")
    (goto-char (point-min))
    (delete-line)
    (risk-lsp-test--send-changes)
    (risk-lsp-test--wait-for-covered '("b = \"🙂漢𝔘\"" "c = 3"))))

(ert-deftest risk-lsp-05-eldoc-shows-a-probability ()
  (risk-lsp-test--in-file "def area(width, height):\n    return width * height\n" 'utf-8-unix
    (risk-lsp-test--wait-for-covered '("def area(width, height):" "return width * height"))
    (goto-char (point-max))
    (search-backward "width")
    (let (shown)
      (eglot-hover-eldoc-function (lambda (text &rest _) (setq shown text)))
      (risk-lsp-test--wait "a hover" (lambda () shown))
      (should (string-match-p "Most of .*[0-9].* comes from" shown))
      (should (string-match-p "area" shown)))))

(ert-deftest risk-lsp-06-query-tells-the-probability-of-the-region ()
  (risk-lsp-test--in-file "x = \"🙂\" + y\n" 'utf-8-unix
    (risk-lsp-test--wait-for-covered '("x = \"🙂\" + y"))
    (should (string-match-p "\\`[<>]?[0-9]+\\(% likely to need an edit\\|[a-z]+ of [0-9]+ lines? to read\\)\\'"
                            (risk-lsp-query (+ (point-min) 4) (+ (point-min) 7))))))

(ert-deftest risk-lsp-07-settings-change-without-a-restart ()
  (risk-lsp-test--in-file "a = 1\nb = 2\n" 'utf-8-unix
    (risk-lsp-test--wait-for-covered '("a = 1" "b = 2"))
    (let ((eglot-workspace-configuration '(:riskLsp (:maxDiagnostics 0))))
      (eglot-signal-didChangeConfiguration (eglot-current-server))
      (risk-lsp-test--wait-for-covered nil))
    (eglot-signal-didChangeConfiguration (eglot-current-server))
    (risk-lsp-test--wait-for-covered '("a = 1" "b = 2"))))

(ert-deftest risk-lsp-08-snooze-takes-diagnostics-away-and-brings-them-back ()
  (risk-lsp-test--in-file "a = 1\nb = 2\n" 'utf-8-unix
    (risk-lsp-test--wait-for-covered '("a = 1" "b = 2"))
    (risk-lsp-snooze 5)
    (risk-lsp-test--wait-for-covered nil)
    (risk-lsp-snooze 0)
    (risk-lsp-test--wait-for-covered '("a = 1" "b = 2"))))

(ert-deftest risk-lsp-09-an-ignored-line-is-left-out-until-that-is-stopped ()
  (risk-lsp-test--in-file "a = 1\nb = \"🙂\"\n" 'utf-8-unix
    (risk-lsp-test--wait-for-covered '("a = 1" "b = \"🙂\""))
    (goto-char (point-max))
    (forward-line -1)
    (risk-lsp-ignore-line)
    (risk-lsp-test--wait-for-covered '("a = 1"))
    (risk-lsp-stop-ignoring-line)
    (risk-lsp-test--wait-for-covered '("a = 1" "b = \"🙂\""))
    (risk-lsp-ignore-line t)
    (risk-lsp-test--wait "the comment" (lambda () (string-match-p "🙂\" +# risk: ignore$" (buffer-string))))
    (risk-lsp-test--send-changes)
    (risk-lsp-test--wait-for-covered '("a = 1"))))

(defun risk-lsp-test--model-processes ()
  "The processes that the server has started."
  (let ((server (process-id (jsonrpc--process (eglot-current-server)))))
    (seq-filter (lambda (id) (eql server (alist-get 'ppid (process-attributes id)))) (list-system-processes))))

(ert-deftest risk-lsp-10-the-user-may-choose-anew-while-the-server-runs ()
  (risk-lsp-test--in-file "a = 1\nb = 2\n" 'utf-8-unix
    (risk-lsp-test--wait-for-covered '("a = 1" "b = 2"))
    (let ((server (eglot-current-server)) (models (risk-lsp-test--model-processes)))
      (should models)
      (let ((risk-lsp-settings (append '(:threads 1 :maxDiagnostics 1) risk-lsp-settings)))
        (risk-lsp-tell-settings)
        (risk-lsp-test--wait "another model"
                             (lambda () (seq-difference (risk-lsp-test--model-processes) models)))
        (risk-lsp-test--wait "one diagnostic" (lambda () (= 1 (length (risk-lsp-test--diagnostics))))))
      (risk-lsp-tell-settings)
      (risk-lsp-test--wait-for-covered '("a = 1" "b = 2"))
      (should (eq server (eglot-current-server))))))

;;; risk-lsp-test.el ends here
