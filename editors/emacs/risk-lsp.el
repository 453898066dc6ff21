;;; risk-lsp.el --- Probabilities that code has to be edited, by eglot  -*- lexical-binding: t; -*-

;; Package-Requires: ((emacs "30.1"))
;; Keywords: tools, languages
;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; The server's diagnostics are Flymake notes and its hover is shown by ElDoc.  To use it:
;;
;;   (load "/path/to/risk-lsp.el")
;;   (risk-lsp-setup)
;;   (add-hook 'python-base-mode-hook #'eglot-ensure)
;;
;; eglot runs one server per buffer, so this takes the place of another Python server.

;;; Code:

(require 'eglot)

(defgroup risk-lsp nil
  "Probabilities that code has to be edited."
  :group 'tools)

(defcustom risk-lsp-command '("risk-lsp" "serve")
  "The server's program and arguments."
  :type '(repeat string)
  :risky t)

(defcustom risk-lsp-settings nil
  "The server's settings, for example (:threshold 0.2 :maxDiagnostics 5).
`risk-lsp-tell-settings' has a server that runs take in a change."
  :type 'plist
  :risky t)

(defun risk-lsp-setup ()
  "Have eglot start the server for Python."
  (add-to-list 'eglot-server-programs
               `((python-mode python-ts-mode)
                 . (,@risk-lsp-command :initializationOptions risk-lsp--user-settings))))

(defun risk-lsp--user-settings (&rest _)
  "What the server is told of `risk-lsp-settings'."
  (or risk-lsp-settings eglot--{}))

;;;###autoload
(defun risk-lsp-tell-settings ()
  "Tell the running server what `risk-lsp-settings' is by now, the model included."
  (interactive)
  (jsonrpc-notify (eglot--current-server-or-lose) :riskLsp/userSettings (risk-lsp--user-settings)))

(defun risk-lsp--uri ()
  "The current document's URI."
  (plist-get (eglot--TextDocumentIdentifier) :uri))

(defun risk-lsp--percent (probability)
  "PROBABILITY as people read it.
Never 0% or 100%: no code is known to be right or wrong."
  (let ((rounded (round (* 100 probability))))
    (cond ((< rounded 1) "<1%")
          ((> rounded 99) ">99%")
          (t (format "%d%%" rounded)))))

;;;###autoload
(defun risk-lsp-query (begin end)
  "Tell how likely something between BEGIN and END has to be edited.
Interactively that is the region, or else the current line."
  (interactive (if (use-region-p)
                   (list (region-beginning) (region-end))
                 (list (line-beginning-position) (line-end-position))))
  (let* ((range (list :start (eglot--pos-to-lsp-position begin) :end (eglot--pos-to-lsp-position end)))
         (answer (jsonrpc-request (eglot--current-server-or-lose) :riskLsp/query
                                  (list :uri (risk-lsp--uri) :ranges (vector range)))))
    (message "%s" (if-let* ((sentences (plist-get answer :sentences)))
                      (aref sentences 0)
                    (format "%s likely to need an edit"
                            (risk-lsp--percent (aref (plist-get answer :probabilities) 0)))))))

(defun risk-lsp--execute (command &rest arguments)
  "Have the server execute COMMAND with ARGUMENTS."
  (jsonrpc-request (eglot--current-server-or-lose) :workspace/executeCommand
                   (list :command command :arguments (vconcat arguments))))

;;;###autoload
(defun risk-lsp-snooze (minutes)
  "Show nothing for MINUTES, the prefix argument or 30; 0 ends it."
  (interactive (list (if current-prefix-arg (prefix-numeric-value current-prefix-arg) 30)))
  (risk-lsp--execute "riskLsp.snooze" minutes))

;;;###autoload
(defun risk-lsp-ignore-line (&optional in-source)
  "Leave the current line out from now on.
With a prefix argument IN-SOURCE, by a comment."
  (interactive "P")
  (risk-lsp--execute "riskLsp.ignoreLine" (risk-lsp--uri)
                     (1- (line-number-at-pos nil t)) (if in-source "source" "stored")))

;;;###autoload
(defun risk-lsp-stop-ignoring-line ()
  "Show the current line again that `risk-lsp-ignore-line' left out."
  (interactive)
  (risk-lsp--execute "riskLsp.stopIgnoring" (risk-lsp--uri) (1- (line-number-at-pos nil t))))

(provide 'risk-lsp)
;;; risk-lsp.el ends here
